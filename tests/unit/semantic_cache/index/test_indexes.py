import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager

import pytest

from libs.testing.clock import ManualClock
from services.semantic_cache.index.indexes import Indexes, IndexLimits, ScopeIndex
from tests.unit.semantic_cache.index.members import Broken, Held, Inline, entries, entry, filled, member, small

ONE, TWO, THREE = b"scope one", b"scope two", b"scope three"
WITH_GRAPH = small(graph_from=20)


def indexes(executor: Executor | None = None, **limits: int) -> Indexes:
    return Indexes(WITH_GRAPH, IndexLimits(**limits), executor or Inline())


def fill(held: Indexes, tenant_id: str, scope: bytes, numbers: range) -> None:
    for number in numbers:
        held.add(tenant_id, scope, member(number), 0.0)


@asynccontextmanager
async def running(held: Indexes) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(held.run())
        yield
        task.cancel()


async def turns(count: int = 400) -> None:
    await ManualClock().settle(count)


def test_what_is_in_one_scope_is_in_no_other() -> None:
    held = indexes()
    held.add("t1", ONE, member(1), 0.0)
    held.add("t1", TWO, member(2), 0.0)
    held.add("t2", ONE, member(3), 0.0)
    assert entries(held.of("t1", ONE).vectors, 1, count=9) == [entry(1)]
    assert not held.remove("t2", ONE, entry(1))
    assert held.remove("t1", ONE, entry(1))
    assert entries(held.of("t1", ONE).vectors, 1, count=9) == []


def test_a_scope_that_is_only_looked_for_is_not_made() -> None:
    held = indexes()
    assert held.find("t1", ONE) is None
    assert not held.remove("t1", ONE, entry(1))
    assert held.statistics().scopes == 0


def test_a_new_scope_is_to_be_read_from_the_beginning() -> None:
    index = indexes().of("t1", ONE)
    assert (index.cursor, len(index.vectors)) == ("", 0)


def test_scopes_leave_least_recently_used_first() -> None:
    held = indexes(scopes=2)
    held.add("t1", ONE, member(1), 0.0)
    held.add("t1", TWO, member(2), 0.0)
    held.find("t1", ONE)
    held.add("t1", THREE, member(3), 0.0)
    assert held.peek("t1", TWO) is None
    assert len(held.of("t1", ONE).vectors) == 1
    statistics = held.statistics()
    assert (statistics.scopes, statistics.vectors, statistics.evicted_scopes) == (2, 2, 1)


def test_all_scopes_together_are_bounded_in_vectors() -> None:
    held = indexes(vectors=25)
    for scope in range(10):
        fill(held, "t1", bytes([scope]), range(10))
    assert held.statistics().vectors <= 25
    assert len(held.of("t1", bytes([9])).vectors) == 10


def test_all_scopes_together_are_bounded_in_bytes() -> None:
    one = filled(WITH_GRAPH, range(10)).nbytes
    held = indexes(nbytes=3 * one + one // 2)
    for scope in range(10):
        fill(held, "t1", bytes([scope]), range(10))
    assert held.statistics().nbytes <= 3 * one + one // 2
    assert held.statistics().scopes == 3


def test_the_count_is_the_tenants_own() -> None:
    held = indexes()
    fill(held, "t1", ONE, range(3))
    fill(held, "t1", TWO, range(4))
    fill(held, "t2", ONE, range(5))
    held.remove("t1", TWO, entry(0))
    assert [held.count(tenant) for tenant in ("t1", "t2", "t3")] == [6, 5, 0]


def test_a_dropped_scope_is_forgotten() -> None:
    held = indexes()
    fill(held, "t1", ONE, range(3))
    fill(held, "t1", TWO, range(4))
    assert held.drop("t1", ONE) == 3
    assert held.drop("t1", ONE) == 0
    assert held.peek("t1", ONE) is None
    assert held.statistics().vectors == held.count("t1") == 4


def test_an_adopted_index_takes_the_place_of_what_was_there() -> None:
    held = indexes()
    fill(held, "t1", ONE, range(3))
    held.adopt("t1", ONE, ScopeIndex(filled(WITH_GRAPH, range(10, 12)), cursor="17-0"))
    assert held.of("t1", ONE).cursor == "17-0"
    assert held.statistics().vectors == held.count("t1") == 2


@pytest.mark.parametrize("name", ["scopes", "vectors", "nbytes"])
def test_limits_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        IndexLimits(**{name: 0})


async def test_graphs_are_made_in_the_background() -> None:
    held = indexes()
    async with running(held):
        for scope in (ONE, TWO):
            fill(held, "t1", scope, range(100))
        await turns()
        for scope in (ONE, TWO):
            assert held.of("t1", scope).vectors.statistics().nodes >= 96
        before = held.statistics()
        assert before.due_scopes == 0
        assert before.nbytes > 2 * 100 * 16
        # And what comes when all is done wakes it again.
        fill(held, "t1", ONE, range(100, 120))
        await turns()
        assert held.of("t1", ONE).vectors.statistics().uncovered <= WITH_GRAPH.uncovered
        assert held.statistics().steps > before.steps


async def test_scopes_take_turns() -> None:
    executor = Held()
    held = indexes(executor)
    async with running(held):
        for scope in (ONE, TWO):
            fill(held, "t1", scope, range(100))
        for _ in range(8):
            await turns(20)
            executor.let()
        await turns(20)
        assert [held.of("t1", scope).vectors.statistics().nodes for scope in (ONE, TWO)] == [16, 16]


async def test_one_may_search_add_and_drop_while_a_thread_works() -> None:
    executor = Held()
    held = indexes(executor)
    async with running(held):
        fill(held, "t1", ONE, range(100))
        await turns(20)
        assert entries(held.of("t1", ONE).vectors, 5, count=1) == [entry(5)]
        held.remove("t1", ONE, entry(5))
        held.drop("t1", ONE)
        fill(held, "t1", ONE, range(200, 203))
        executor.let()
        await turns(20)
        assert sorted(entries(held.of("t1", ONE).vectors, 5, count=9)) == [entry(200), entry(201), entry(202)]
        assert held.statistics().vectors == 3
        assert executor.waiting == []


async def test_a_scope_that_was_dropped_needs_no_work() -> None:
    held = indexes()
    fill(held, "t1", ONE, range(100))
    held.drop("t1", ONE)
    async with running(held):
        fill(held, "t1", TWO, range(100))
        await turns()
        assert held.of("t1", TWO).vectors.statistics().nodes >= 96


async def test_a_step_that_fails_costs_speed_only() -> None:
    held = indexes(Broken())
    async with running(held):
        fill(held, "t1", ONE, range(35))
        await turns()
        assert held.statistics().failed_steps == 1
        assert entries(held.of("t1", ONE).vectors, 5, count=1) == [entry(5)]


def test_it_tells_what_it_holds() -> None:
    held = indexes()
    fill(held, "t1", ONE, range(3))
    assert "scopes=1, vectors=3" in repr(held)
