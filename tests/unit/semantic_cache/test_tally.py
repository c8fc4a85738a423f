import asyncio

from libs.testing.clock import ManualClock
from services.semantic_cache.lookup import Layer
from services.semantic_cache.tally import HITS, LOOKUPS, PUTS, SAVED, Tally
from tests.unit.semantic_cache.fakes import FakeTallyStore


async def test_sums_are_written_once_a_second(clock: ManualClock) -> None:
    store = FakeTallyStore()
    tally = Tally(store, clock)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(tally.run())
        tally.lookup("t1", Layer.EXACT_MEMORY, 500)
        tally.lookup("t1", Layer.SEMANTIC, 250)
        tally.lookup("t1", Layer.MISS, 0)
        tally.lookup("t2", Layer.UNAVAILABLE, 0)
        tally.put("t2")
        assert store.sums == {}
        await clock.run(1.0)
        work.cancel()
    assert store.sums == {
        "t1": {LOOKUPS: 3, HITS[Layer.EXACT_MEMORY]: 1, HITS[Layer.SEMANTIC]: 1, SAVED: 750},
        "t2": {LOOKUPS: 1, PUTS: 1},
    }


async def test_reading_includes_what_is_not_written_yet(clock: ManualClock) -> None:
    store = FakeTallyStore()
    tally = Tally(store, clock)
    tally.lookup("t1", Layer.EXACT_REDIS, 5)
    await tally.flush()
    tally.lookup("t1", Layer.EXACT_REDIS, 5)
    sums = await tally.read("t1")
    assert (sums[LOOKUPS], sums[SAVED]) == (2, 10)


async def test_an_outage_loses_no_counts(clock: ManualClock) -> None:
    store = FakeTallyStore()
    tally = Tally(store, clock)
    tally.put("t1")
    store.down = True
    await tally.flush()
    tally.put("t1")
    store.down = False
    await tally.flush()
    assert store.sums == {"t1": {PUTS: 2}}
