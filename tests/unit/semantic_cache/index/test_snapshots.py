import asyncio
import os
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import pytest

from libs.testing.clock import ManualClock
from services.semantic_cache.index.indexes import Indexes, IndexLimits
from services.semantic_cache.index.snapshots import SnapshotLimits, Snapshots
from tests.unit.semantic_cache.index.members import Held, Inline, entries, entry, group, member, small

SHAPE = small(capacity=10_000, graph_from=8_000)
ONE, TWO = b"one", b"two"


def folder_of(path: Path, space: str = "model-1", executor: Executor | None = None, **limits: int) -> Snapshots:
    return Snapshots(path, space, SHAPE, SnapshotLimits(**{"members": 3, **limits}), executor or Inline())


def indexes(**scopes: int) -> Indexes:
    """Scopes by name, of tenant t1, with so many members each."""
    held = Indexes(SHAPE, IndexLimits(), Inline())
    for scope, members in scopes.items():
        for number in range(members):
            held.add("t1", scope.encode(), member(number), 0.0)
        held.of("t1", scope.encode()).cursor = "17-0"
    return held


def in_folder(path: Path) -> list[Path]:
    return list(path.iterdir())


def files(path: Path) -> int:
    return len(in_folder(path))


def age(path: Path, seconds: float = 100) -> None:
    for file in in_folder(path):
        state = file.stat()
        os.utime(file, (state.st_atime - seconds, state.st_mtime - seconds))


async def test_a_scope_comes_back_in_another_process(tmp_path: Path) -> None:
    assert await folder_of(tmp_path / "new").save(indexes(one=5), with_graphs=True) == 1
    index = await folder_of(tmp_path / "new").load("t1", ONE)
    assert index is not None
    assert index.cursor == "17-0"
    assert entries(index.vectors, 2, count=1) == [entry(2)]


async def test_a_scope_that_changes_while_it_is_copied_is_followed_up_from_its_cursor(tmp_path: Path) -> None:
    clock = ManualClock()
    held, snapshots = indexes(one=4_500), folder_of(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        saving = tasks.create_task(snapshots.save(held, with_graphs=False))
        await clock.settle(1)
        assert not saving.done()
        # Of the first that were copied and of the last that were not.
        for number in (1, 4_400):
            held.remove("t1", ONE, entry(number))
            held.add("t1", ONE, member(number + 10_000), 0.0)
        held.of("t1", ONE).cursor = "21-0"
    index = await folder_of(tmp_path).load("t1", ONE)
    assert index is not None
    assert index.cursor == "17-0"
    for number in (0, 2, 3_000, 4_499):
        assert entries(index.vectors, number, count=1) == [entry(number)]
    # Whatever it has, it has with the right vector.
    for neighbour in index.vectors.nearest(member(14_400).vector, 5_000, 0.0):
        number = int.from_bytes(neighbour.entry, "big")
        expected = float(member(number).vector @ member(14_400).vector)
        assert neighbour.similarity == pytest.approx(expected, abs=2e-3)
    assert await snapshots.save(held, with_graphs=False) == 1


async def test_a_scope_that_is_seated_anew_while_it_is_copied_is_saved_another_time(tmp_path: Path) -> None:
    clock = ManualClock()
    held, snapshots = indexes(one=4_500), folder_of(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        saving = tasks.create_task(snapshots.save(held, with_graphs=False))
        await clock.settle(1)
        for number in range(4_400):
            held.remove("t1", ONE, entry(number))
    assert saving.result() == 0
    assert await snapshots.save(held, with_graphs=False) == 1
    index = await folder_of(tmp_path).load("t1", ONE)
    assert index is not None
    assert sorted(entries(index.vectors, 1, count=200)) == [entry(number) for number in range(4_400, 4_500)]


async def test_what_was_never_saved_is_not_there(tmp_path: Path) -> None:
    snapshots = folder_of(tmp_path / "never made")
    assert await snapshots.load("t1", ONE) is None
    assert await snapshots.forget("t1", ONE)
    await snapshots.save(indexes(), with_graphs=False)
    assert snapshots.statistics() == (0, 0, 0, 0)


async def test_small_scopes_are_not_worth_a_file(tmp_path: Path) -> None:
    assert await folder_of(tmp_path).save(indexes(one=2, two=3), with_graphs=True) == 1
    assert files(tmp_path) == 1


async def test_only_what_changed_is_saved_again(tmp_path: Path) -> None:
    held, snapshots = indexes(one=5, two=5), folder_of(tmp_path)
    assert await snapshots.save(held, with_graphs=True) == 2
    assert await snapshots.save(held, with_graphs=True) == 0
    held.add("t1", ONE, replace(member(1), group=group(9)), 0.0)
    assert await snapshots.save(held, with_graphs=True) == 1
    held.of("t1", TWO).cursor = "18-0"
    assert await snapshots.save(held, with_graphs=True) == 1


async def test_what_was_loaded_need_not_be_saved(tmp_path: Path) -> None:
    await folder_of(tmp_path).save(indexes(one=5), with_graphs=True)
    snapshots, held = folder_of(tmp_path), indexes()
    index = await snapshots.load("t1", ONE)
    assert index is not None
    held.adopt("t1", ONE, index)
    assert await snapshots.save(held, with_graphs=True) == 0


async def test_a_file_of_another_model_is_deleted(tmp_path: Path) -> None:
    await folder_of(tmp_path).save(indexes(one=5), with_graphs=True)
    snapshots = folder_of(tmp_path, space="model-2")
    assert await snapshots.load("t1", ONE) is None
    assert snapshots.statistics().refused == 1
    assert files(tmp_path) == 0


async def test_a_broken_file_is_deleted(tmp_path: Path) -> None:
    await folder_of(tmp_path).save(indexes(one=5), with_graphs=True)
    (path,) = in_folder(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    snapshots = folder_of(tmp_path)
    assert await snapshots.load("t1", ONE) is None
    assert snapshots.statistics().refused == 1
    assert files(tmp_path) == 0


async def test_a_tenants_file_is_no_others(tmp_path: Path) -> None:
    await folder_of(tmp_path).save(indexes(one=5), with_graphs=True)
    assert await folder_of(tmp_path).load("t2", ONE) is None


async def test_what_is_forgotten_leaves_no_file(tmp_path: Path) -> None:
    held, snapshots = indexes(one=5, two=5), folder_of(tmp_path)
    await snapshots.save(held, with_graphs=True)
    assert await snapshots.forget("t2", ONE)
    assert files(tmp_path) == 2
    assert await snapshots.forget("t1", ONE)
    assert files(tmp_path) == 1
    assert await snapshots.load("t1", ONE) is None
    assert await snapshots.load("t1", TWO) is not None


async def test_what_is_forgotten_while_it_is_saved_leaves_no_file(tmp_path: Path) -> None:
    executor, clock = Held(), ManualClock()
    held, snapshots = indexes(one=5, two=5), folder_of(tmp_path, executor=executor)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(snapshots.save(held, with_graphs=True))
        await clock.settle()
        assert len(executor.waiting) == 1
        for scope in (ONE, TWO):
            held.drop("t1", scope)
            tasks.create_task(snapshots.forget("t1", scope))
        for _ in range(10):
            await clock.settle()
            if executor.waiting:
                executor.let()
    assert files(tmp_path) == 0


async def test_the_folder_is_bounded_in_files(tmp_path: Path) -> None:
    snapshots = folder_of(tmp_path, files=2)
    for scope in ("one", "two", "six"):
        await snapshots.save(indexes(**{scope: 5}), with_graphs=True)
        age(tmp_path)
    assert files(tmp_path) == 2
    assert await snapshots.load("t1", ONE) is None
    assert await snapshots.load("t1", b"six") is not None


async def test_the_folder_is_bounded_in_bytes(tmp_path: Path) -> None:
    await folder_of(tmp_path).save(indexes(one=5, two=5, six=5), with_graphs=True)
    size = max(path.stat().st_size for path in in_folder(tmp_path))
    await folder_of(tmp_path, nbytes=2 * size).save(indexes(), with_graphs=True)
    assert files(tmp_path) == 2


async def test_what_a_crash_left_is_cleared_away_and_what_another_replica_writes_is_not(tmp_path: Path) -> None:
    (tmp_path / ".crashed.part").write_bytes(b"half of it")
    age(tmp_path, seconds=4_000)
    (tmp_path / ".under way.part").write_bytes(b"half of it")
    await folder_of(tmp_path).save(indexes(one=5), with_graphs=True)
    assert sorted(path.suffix for path in in_folder(tmp_path)) == [".index", ".part"]
    assert (tmp_path / ".under way.part").exists()


async def test_a_folder_that_cannot_be_used_is_counted_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    snapshots = folder_of(tmp_path / "file")
    assert await snapshots.save(indexes(one=5), with_graphs=True) == 0
    assert await snapshots.load("t1", ONE) is None
    assert await snapshots.forget("t1", ONE)
    # Neither written, nor listed, nor read.
    assert snapshots.statistics().failed == 3


async def test_files_that_cannot_be_deleted_are_counted_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folder_of(tmp_path).save(indexes(one=5, two=5), with_graphs=True)

    def read_only(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "unlink", read_only)
    snapshots = folder_of(tmp_path, space="model-2", files=1)
    assert not await snapshots.forget("t1", ONE)
    assert await snapshots.load("t1", ONE) is None
    await snapshots.save(indexes(), with_graphs=True)
    assert snapshots.statistics() == (0, 0, 1, 3)
    assert files(tmp_path) == 2


@pytest.mark.parametrize("failure", [OSError(), MemoryError()])
async def test_what_cannot_be_read_or_written_is_counted_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: object) -> None:
        raise failure

    held, snapshots = indexes(one=5), folder_of(tmp_path)
    await snapshots.save(held, with_graphs=True)
    monkeypatch.setattr(Path, "read_bytes", fail)
    monkeypatch.setattr("os.fsync", fail)
    assert await snapshots.load("t1", ONE) is None
    held.remove("t1", ONE, entry(1))
    assert await snapshots.save(held, with_graphs=True) == 0
    assert snapshots.statistics() == (1, 0, 0, 2)
    monkeypatch.undo()
    # What was not saved is saved the next time.
    assert await snapshots.save(held, with_graphs=True) == 1


async def test_a_file_that_another_replica_deletes_meanwhile_stops_nothing(tmp_path: Path) -> None:
    # It is listed, and not there when it is looked at.
    (tmp_path / "gone.index").symlink_to(tmp_path / "nowhere")
    snapshots = folder_of(tmp_path)
    assert await snapshots.save(indexes(one=5), with_graphs=True) == 1
    assert snapshots.statistics().failed == 0


async def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    await folder_of(tmp_path / "new").save(indexes(one=5), with_graphs=True)
    (path,) = in_folder(tmp_path / "new")
    assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert b"t1" not in path.name.encode()


@pytest.mark.parametrize("name", ["members", "files", "nbytes"])
def test_limits_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        SnapshotLimits(**{name: 0})
