from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.semantic_cache.index.contents import Contents
from services.semantic_cache.index.snapshot import Origin, Refusal, SnapshotRefusedError, read, write
from services.semantic_cache.index.vector_index import VectorIndex
from tests.unit.semantic_cache.index.members import DIMENSION, entries, entry, filled, group, member, small, work

SHAPE = small(graph_from=20)
ORIGIN = Origin("model-1", DIMENSION, "t1", b"scope")


def saved(path: Path, index: VectorIndex, with_graph: bool = True) -> Path:
    contents = index.contents()
    write(path, ORIGIN, "17-0", contents if with_graph else contents.only(np.ones(len(contents), np.bool_)))
    return path


def aged(numbers: range = range(60)) -> VectorIndex:
    """An index with a graph that has stale nodes and lacks some members."""
    index = filled(SHAPE, numbers)
    work(index)
    for number in (3, 4, numbers[-1]):
        index.remove(entry(number))
    index.add(member(1_000, expires_at=50.0), 0.0)
    index.add(member(1_001), 0.0)
    return index


@pytest.mark.parametrize("with_graph", [True, False])
def test_an_index_comes_back_as_it_was(tmp_path: Path, with_graph: bool) -> None:
    index = aged()
    cursor, contents = read(saved(tmp_path / "a", index, with_graph), ORIGIN)
    back = VectorIndex.holding(SHAPE, contents)
    assert cursor == "17-0"
    assert len(back) == len(index)
    for number in range(60):
        assert back.nearest(member(number).vector, 60, 0.0) == index.nearest(member(number).vector, 60, 0.0)
    assert entry(1_000) not in entries(back, 1_000, now=50.0)
    assert (back.statistics().uncovered < 10) == with_graph
    # It goes on like any other: the graph is completed, members leave and come.
    work(back)
    assert back.remove(entry(7))
    back.add(member(2_000), 0.0)
    assert entry(7) not in entries(back, 7, count=60)
    assert entries(back, 2_000, count=1) == [entry(2_000)]


def test_what_left_before_is_not_proposed_after(tmp_path: Path) -> None:
    index = filled(small(graph_from=20, uncovered=1), range(60))
    work(index)
    for number in range(50, 60):
        index.remove(entry(number))
    _, contents = read(saved(tmp_path / "a", index), ORIGIN)
    back = VectorIndex.holding(SHAPE, contents)
    assert set(entries(back, 55, count=60)) == {entry(number) for number in range(50)}


def test_what_a_thread_is_adding_to_the_graph_is_saved(tmp_path: Path) -> None:
    index = filled(SHAPE, range(60))
    step = index.next_step()
    assert step is not None
    _, contents = read(saved(tmp_path / "a", index), ORIGIN)
    assert set(entries(VectorIndex.holding(SHAPE, contents), 0, count=60)) == {entry(number) for number in range(60)}


def test_the_oldest_are_still_the_oldest(tmp_path: Path) -> None:
    shape = small(capacity=5)
    _, contents = read(saved(tmp_path / "a", filled(shape, range(5))), ORIGIN)
    back = VectorIndex.holding(shape, contents)
    back.add(member(9), 0.0)
    assert sorted(entries(back, 0, count=9)) == [entry(number) for number in (1, 2, 3, 4, 9)]


def test_an_empty_index_comes_back(tmp_path: Path) -> None:
    _, contents = read(saved(tmp_path / "a", VectorIndex(SHAPE)), ORIGIN)
    assert len(VectorIndex.holding(SHAPE, contents)) == 0


@pytest.mark.parametrize(
    ("origin", "refusal"),
    [
        (replace(ORIGIN, space="model-2"), Refusal.OTHER_MODEL),
        (replace(ORIGIN, dimension=DIMENSION * 2), Refusal.OTHER_MODEL),
        (replace(ORIGIN, tenant_id="t2"), Refusal.OTHER_SCOPE),
        (replace(ORIGIN, scope=b"other"), Refusal.OTHER_SCOPE),
    ],
)
def test_what_is_of_something_else_is_refused(tmp_path: Path, origin: Origin, refusal: Refusal) -> None:
    path = saved(tmp_path / "a", aged())
    with pytest.raises(SnapshotRefusedError) as refused:
        read(path, origin)
    assert refused.value.refusal is refusal


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (lambda whole: b"", Refusal.FOREIGN),
        (lambda whole: b"PK\3\4" + whole, Refusal.FOREIGN),
        (lambda whole: whole[:16] + b"\2" + whole[17:], Refusal.OTHER_VERSION),
        (lambda whole: whole[:-1], Refusal.BROKEN),
        (lambda whole: whole + b"\0", Refusal.BROKEN),
        (lambda whole: whole[:100], Refusal.BROKEN),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes], refusal: Refusal) -> None:
    path = saved(tmp_path / "a", aged())
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(SnapshotRefusedError) as refused:
        read(path, ORIGIN)
    assert refused.value.refusal is refusal


def test_no_changed_byte_goes_unnoticed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", aged())
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // 300):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(SnapshotRefusedError):
            read(path, ORIGIN)


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "a", ORIGIN)


def test_a_write_that_fails_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a", aged())
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        saved(path, filled(SHAPE, range(3)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_graph_that_is_none_is_made_anew() -> None:
    contents = replace(aged().contents(), graph=b"something else")
    back = VectorIndex.holding(SHAPE, contents)
    work(back)
    assert back.statistics().nodes >= 50
    assert entries(back, 30, count=1) == [entry(30)]


def test_contents_that_do_not_fit_are_refused() -> None:
    contents = aged().contents()
    broken = contents.vectors.copy()
    broken[5, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        VectorIndex.holding(SHAPE, replace(contents, vectors=broken))
    with pytest.raises(ValueError, match="fit"):
        VectorIndex.holding(small(capacity=10), contents)
    with pytest.raises(ValueError, match="fit"):
        VectorIndex.holding(SHAPE, replace(contents, vectors=contents.vectors[:, :4]))


@pytest.mark.parametrize("name", ["rows", "groups", "created_at", "expires_at", "vectors"])
def test_contents_of_different_lengths_are_refused(name: str) -> None:
    contents = aged().contents()
    with pytest.raises(ValueError, match="do not go with"):
        VectorIndex.holding(SHAPE, replace(contents, **{name: getattr(contents, name)[1:]}))


def test_an_entry_or_a_row_that_is_there_twice_is_refused() -> None:
    contents: Contents = filled(SHAPE, range(3)).contents()
    with pytest.raises(ValueError, match="twice"):
        VectorIndex.holding(SHAPE, replace(contents, entries=(entry(1), entry(1), entry(2))))
    with pytest.raises(ValueError, match="twice"):
        VectorIndex.holding(SHAPE, replace(contents, rows=np.array([0, 1, 1], np.int32)))
    assert contents.groups.tolist() == [int.from_bytes(group(number), "big") for number in range(3)]
