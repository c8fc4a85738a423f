import asyncio

from libs.testing.clock import ManualClock
from services.semantic_cache.lookup import Layer, Outcome
from services.semantic_cache.tally import AUDITS, HITS, LOOKUPS, PUTS, SAVED, UNAVAILABLE, WAITED, Tally
from tests.unit.semantic_cache.entries import entry
from tests.unit.semantic_cache.fakes import FakeTallyStore


def hit(layer: Layer, cost: int, waited: bool = False) -> Outcome:
    return Outcome(layer, entry(cost=cost), waited=waited)


async def test_sums_are_written_once_a_second(clock: ManualClock) -> None:
    store = FakeTallyStore()
    tally = Tally(store, clock)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(tally.run())
        tally.lookup("t1", hit(Layer.EXACT_MEMORY, 500))
        tally.lookup("t1", hit(Layer.SEMANTIC, 250))
        tally.lookup("t1", hit(Layer.EXACT_REDIS, 100, waited=True))
        tally.lookup("t1", Outcome(Layer.MISS))
        tally.lookup("t1", Outcome(Layer.AUDIT))
        # It is going to ask again.
        tally.lookup("t1", Outcome(Layer.WAITED))
        tally.lookup("t2", Outcome(Layer.UNAVAILABLE))
        tally.put("t2")
        assert store.sums == {}
        await clock.run(1.0)
        work.cancel()
    assert store.sums == {
        "t1": {
            LOOKUPS: 5,
            HITS[Layer.EXACT_MEMORY]: 1,
            HITS[Layer.SEMANTIC]: 1,
            HITS[Layer.EXACT_REDIS]: 1,
            WAITED: 1,
            AUDITS: 1,
            SAVED: 850,
        },
        "t2": {LOOKUPS: 1, UNAVAILABLE: 1, PUTS: 1},
    }


async def test_reading_includes_what_is_not_written_yet(clock: ManualClock) -> None:
    store = FakeTallyStore()
    tally = Tally(store, clock)
    tally.lookup("t1", hit(Layer.EXACT_REDIS, 5))
    await tally.flush()
    tally.lookup("t1", hit(Layer.EXACT_REDIS, 5))
    sums = await tally.read("t1")
    assert (sums[LOOKUPS], sums[SAVED]) == (2, 10)


async def test_a_tenant_reads_its_own(clock: ManualClock) -> None:
    tally = Tally(FakeTallyStore(), clock)
    tally.put("t1")
    await tally.flush()
    tally.put("t1")
    assert await tally.read("t2") == {}


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
