import asyncio

from libs.core.errors import Reason
from libs.testing.clock import ManualClock
from libs.testing.virtual_loop import LoopClock, run_virtual
from services.semantic_cache.backlog import Refresh, Release
from services.semantic_cache.lookup import Layer
from tests.unit.semantic_cache.entries import question
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.replica import replica

ASKED = question("How do I reset my password?")
REPHRASED = question("How can I reset the password?")


def test_what_somebody_may_wait_for_is_not_behind_what_has_time() -> None:
    async def main() -> float:
        clock = LoopClock(asyncio.get_running_loop())
        cache = replica(clock, FakeEntryStore(clock))
        leads = await cache.lookup(ASKED, max_wait=1.0)
        for number in range(20):
            await cache.put(question(f"question {number}"))
        cache.embedder.slow = clock, 1.0
        cache.backlog.offer(Release(ASKED.key, leads.lease_token))
        begun = clock.monotonic()
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(cache.backlog.run())
            assert (await cache.lookup(ASKED, max_wait=60.0)).lease_token
            work.cancel()
        return clock.monotonic() - begun

    assert run_virtual(main()) < 1.0


async def test_a_task_that_fails_does_not_stop_the_others(clock: ManualClock, store: FakeEntryStore) -> None:
    cache = replica(clock, store)
    await cache.put(question("one"))
    cache.embedder.fails_with = Reason.INTERNAL
    await cache.backlog.work()
    cache.embedder.fails_with = None
    await cache.put(ASKED)
    await cache.backlog.work()
    assert cache.backlog.statistics() == (0, 1, 1)
    assert (await cache.lookup(REPHRASED)).layer is Layer.SEMANTIC


async def test_more_than_it_can_hold_is_dropped_and_counted(clock: ManualClock, store: FakeEntryStore) -> None:
    cache = replica(clock, store, capacity=3)
    assert [cache.backlog.offer(Refresh(ASKED.key)) for _ in range(5)] == [True] * 3 + [False] * 2
    assert cache.backlog.statistics() == (3, 0, 2)
    await cache.backlog.work()
    assert cache.backlog.statistics() == (0, 3, 2)
