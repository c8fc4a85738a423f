import numpy as np
import pytest

from services.semantic_cache.index.member import Member
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.index.vector_index import VectorIndex
from tests.unit.semantic_cache.index.members import (
    DIMENSION,
    entries,
    entry,
    filled,
    group,
    member,
    small,
    unit,
    work,
)

GRAPH = small(graph_from=50)


def test_the_nearest_come_first() -> None:
    nearest = filled(small(), range(50)).nearest(unit(7), 3, 0.0)
    assert (nearest[0].entry, nearest[0].group) == (entry(7), group(7))
    assert nearest[0].similarity == pytest.approx(1.0, abs=1e-3)
    similarities = [neighbour.similarity for neighbour in nearest]
    assert similarities == sorted(similarities, reverse=True)
    assert len(nearest) == 3


def test_no_similarity_exceeds_one() -> None:
    index = filled(small(), range(200))
    assert max(index.nearest(unit(seed), 1, 0.0)[0].similarity for seed in range(200)) <= 1.0


def test_an_empty_index_has_nothing_near() -> None:
    assert VectorIndex(small()).nearest(unit(1), 3, 0.0) == []


def test_what_expired_is_not_found() -> None:
    index = VectorIndex(small())
    index.add(member(1, expires_at=100.0), 0.0)
    assert entries(index, 1, now=99.0) == [entry(1)]
    assert entries(index, 1, now=100.0) == []


def test_what_expired_makes_room_as_others_come() -> None:
    index = VectorIndex(small())
    for number in range(100):
        index.add(member(number, expires_at=10.0), 0.0)
    for number in range(100, 120):
        index.add(member(number), 10.0)
    assert len(index) == 20


def test_the_oldest_make_room() -> None:
    index = filled(small(capacity=3), range(3))
    index.add(member(0), 0.0)
    index.add(member(3), 0.0)
    assert sorted(entries(index, 1, count=9)) == [entry(0), entry(2), entry(3)]


def test_a_replaced_vector_is_forgotten() -> None:
    index = filled(small(), range(5))
    index.add(member(2, seed=77), 0.0)
    assert index.nearest(unit(2), 1, 0.0)[0].similarity < 0.99
    assert entries(index, 77, count=1) == [entry(2)]
    assert len(index) == 5


def test_a_renewed_entry_lives_longer_and_has_its_new_group() -> None:
    index = VectorIndex(small())
    index.add(member(1, expires_at=100.0), 0.0)
    index.add(Member(entry(1), group(9), unit(1), 50.0, 200.0), 50.0)
    (neighbour,) = index.nearest(unit(1), 3, 150.0)
    assert neighbour.group == group(9)


@pytest.mark.parametrize(
    "vector", [np.ones(DIMENSION + 1), np.full(DIMENSION, np.nan), np.full(DIMENSION, np.inf), np.zeros(DIMENSION)]
)
def test_a_vector_that_is_none_changes_nothing(vector: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    index = filled(small(), range(3))
    with pytest.raises(ValueError, match="vector"):
        index.add(Member(entry(1), group(1), vector.astype(np.float32), 0.0, 1.0), 0.0)
    with pytest.raises(ValueError, match="vector"):
        index.nearest(vector.astype(np.float32), 1, 0.0)
    assert entries(index, 1, count=1) == [entry(1)]


@pytest.mark.parametrize(("name", "kind"), [(b"short", group(1)), (entry(1), b"short")])
def test_a_digest_of_another_length_is_refused(name: bytes, kind: bytes) -> None:
    with pytest.raises(ValueError, match="digests"):
        VectorIndex(small()).add(Member(name, kind, unit(1), 0.0, 1.0), 0.0)


@pytest.mark.parametrize("name", ["dimension", "capacity", "graph_from", "uncovered"])
def test_a_shape_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Shape(**{"dimension": 8, name: 0})


def test_a_graph_takes_over_when_there_are_many() -> None:
    index = filled(GRAPH, range(300))
    assert index.due
    work(index)
    statistics = index.statistics()
    assert statistics.nodes >= 296
    assert statistics.nodes + statistics.uncovered == 300
    assert not index.due
    assert all(entries(index, number, count=1) == [entry(number)] for number in range(300))


def test_while_the_graph_is_made_all_are_found() -> None:
    index = filled(GRAPH, range(200))
    while (step := index.next_step()) is not None:
        number = index.statistics().nodes
        # What the step is about to add is found before, during and after it.
        taken = step.rows
        assert [entries(index, row, count=1) for row in taken] == [[entry(row)] for row in taken]
        step.run()
        assert [entries(index, row, count=1) for row in taken] == [[entry(row)] for row in taken]
        index.finish(step)
        assert entries(index, number, count=1) == [entry(number)]


def test_a_step_that_is_out_is_not_given_twice() -> None:
    index = filled(GRAPH, range(200))
    step = index.next_step()
    assert step is not None
    assert index.next_step() is None
    index.finish(step)
    assert index.next_step() is not None


def test_what_leaves_while_it_is_added_to_the_graph_never_comes_back() -> None:
    index = filled(GRAPH, range(200))
    step = index.next_step()
    assert step is not None
    for number in range(8):
        index.remove(entry(number))
    index.add(member(1_000), 0.0)
    step.run()
    index.finish(step)
    work(index)
    for number in range(8):
        assert entry(number) not in entries(index, number, count=200)
    assert entries(index, 1_000, count=1) == [entry(1_000)]


def test_what_is_removed_from_a_graph_is_gone_at_once() -> None:
    index = filled(GRAPH, range(200))
    work(index)
    for number in range(0, 200, 3):
        assert index.remove(entry(number))
        assert not index.remove(entry(number))
        assert entry(number) not in entries(index, number, count=200)


def test_a_row_given_again_is_its_new_members_alone() -> None:
    index = filled(GRAPH, range(200))
    work(index)
    index.remove(entry(7))
    index.add(member(700), 0.0)
    work(index)
    found = index.nearest(unit(7), 200, 0.0)
    assert entry(7) not in [neighbour.entry for neighbour in found]
    assert len({neighbour.entry for neighbour in found}) == len(found)
    assert entries(index, 700, count=1) == [entry(700)]


def test_a_row_that_the_graph_knows_many_times_is_found_once() -> None:
    index = filled(small(graph_from=50, uncovered=1), range(60))
    for time in range(1, 5):
        for number in (7, 8):
            near = unit(number) + np.float32(0.001 * time)
            index.add(Member(entry(number), group(number), near, 0.0, 1.0), 0.0)
        work(index)
    assert len(entries(index, 7, count=5)) == 5


def test_too_many_stale_nodes_make_another_graph() -> None:
    index = filled(GRAPH, range(300))
    work(index)
    before = index.statistics()
    for number in range(70):
        index.remove(entry(number))
    assert index.statistics().building
    assert index.statistics().nodes == before.nodes
    assert entries(index, 200, count=1) == [entry(200)]
    work(index)
    after = index.statistics()
    assert (after.rebuilds, after.stale, after.building) == (1, 0, False)
    assert after.nodes <= 230
    assert all(entries(index, number, count=1) == [entry(number)] for number in range(70, 300))


def test_what_leaves_and_comes_during_a_rebuild_is_known_after_it() -> None:
    index = filled(GRAPH, range(300))
    work(index)
    for number in range(70):
        index.remove(entry(number))
    step = index.next_step()
    assert step is not None
    index.remove(entry(100))
    index.add(member(900), 0.0)
    step.run()
    index.finish(step)
    index.remove(entry(200))
    work(index)
    assert entries(index, 900, count=1) == [entry(900)]
    for gone in (5, 100, 200):
        assert entry(gone) not in entries(index, gone, count=300)


def test_a_graph_of_few_is_given_up() -> None:
    index = filled(GRAPH, range(60))
    work(index)
    for number in range(40):
        index.remove(entry(number))
    assert index.statistics().nodes == 0
    assert sorted(entries(index, 1, count=60)) == [entry(number) for number in range(40, 60)]
    assert all(entries(index, number, count=1) == [entry(number)] for number in range(40, 60))


def test_a_failed_step_costs_the_graph_and_nothing_else() -> None:
    index = filled(GRAPH, range(100))
    step = index.next_step()
    assert step is not None
    index.abandon(step)
    assert all(entries(index, number, count=1) == [entry(number)] for number in range(100))
    index.add(member(100), 0.0)
    work(index)
    assert index.statistics().nodes > 90
    assert all(entries(index, number, count=1) == [entry(number)] for number in range(101))


def test_a_failed_rebuild_leaves_the_graph_in_use() -> None:
    index = filled(GRAPH, range(300))
    work(index)
    for number in range(70):
        index.remove(entry(number))
    step = index.next_step()
    assert step is not None
    index.abandon(step)
    assert index.statistics().nodes > 0
    assert all(entries(index, number, count=1) == [entry(number)] for number in range(70, 300))


def test_memory_that_few_members_do_not_need_is_given_back() -> None:
    index = filled(small(capacity=5_000, graph_from=5_000), range(3_000))
    before = index.nbytes
    for number in range(2_900):
        index.remove(entry(number))
    assert index.nbytes < before / 2
    assert all(entries(index, number, count=1) == [entry(number)] for number in range(2_900, 3_000))


def test_it_tells_what_it_holds() -> None:
    index = filled(GRAPH, range(100))
    work(index)
    assert repr(index).startswith("VectorIndex(100/1000, Graphs(Cover(Graph(")
