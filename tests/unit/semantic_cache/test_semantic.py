from libs.testing.clock import ManualClock
from services.semantic_cache.lookup import Layer
from tests.unit.semantic_cache.entries import question
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.fakes import vector_of
from tests.unit.semantic_cache.replica import Replica, replica

ASKED = "How do I reset my password?"
REPHRASED = "How can I reset the password?"
OTHER = "Where is the nearest harbour?"


async def kept(cache: Replica, text: str = ASKED) -> None:
    await cache.put(question(text), vector=vector_of(text))


async def another(cache: Replica) -> Replica:
    other = replica(cache.clock, cache.store)
    await other.hear()
    return other


async def test_entries_can_be_found_by_meaning_after_a_restart(cache: Replica) -> None:
    await kept(cache)
    assert (await (await another(cache)).lookup(question(REPHRASED))).layer is Layer.SEMANTIC


async def test_a_scope_larger_than_one_reading_is_read_whole_in_the_background(clock: ManualClock) -> None:
    store = FakeEntryStore(clock, news=3)
    cache = replica(clock, store)
    for number in range(10):
        await kept(cache, f"question about subject{number} matter{number}")
    restarted = await another(cache)
    await restarted.lookup(question("something else"))
    await restarted.backlog.work()
    assert restarted.indexes.count("t1") == 10
    for number in range(10):
        outcome = await restarted.lookup(question(f"the question about subject{number} matter{number}"))
        assert outcome.layer is Layer.SEMANTIC


async def test_replicas_learn_of_each_others_entries_within_a_second(cache: Replica, clock: ManualClock) -> None:
    other = await another(cache)
    await other.lookup(question(OTHER))
    await kept(cache)
    assert (await other.lookup(question(REPHRASED))).layer is Layer.MISS
    clock.advance(1.0)
    assert (await other.lookup(question(REPHRASED))).layer is Layer.SEMANTIC


async def test_a_replica_that_missed_too_much_begins_anew(cache: Replica, clock: ManualClock) -> None:
    await kept(cache)
    other = await another(cache)
    await other.lookup(question(OTHER))
    assert other.indexes.count("t1") == 1
    await cache.store.remove([question(ASKED).key])
    await kept(cache, OTHER)
    cache.store.forget_feed(question(ASKED).key)
    clock.advance(1.0)
    await other.lookup(question("anything"))
    assert other.indexes.count("t1") == 1
    assert (await other.lookup(question("What is the nearest harbour, where?"))).layer is Layer.SEMANTIC
    assert (await other.lookup(question(REPHRASED))).layer is Layer.MISS


async def test_a_removed_entry_is_not_served_even_before_the_index_knows(cache: Replica) -> None:
    await kept(cache)
    other = await another(cache)
    await other.lookup(question(OTHER))
    await cache.store.remove([question(ASKED).key])
    assert other.indexes.count("t1") == 1
    assert (await other.lookup(question(REPHRASED))).layer is Layer.MISS


async def test_a_dead_candidate_does_not_hide_the_next_one(cache: Replica) -> None:
    await kept(cache)
    await kept(cache, "My password, which I reset")
    other = await another(cache)
    # It has seen both, so that it remembers their texts.
    await other.lookup(question(OTHER))
    nearest = await other.lookup(question(REPHRASED))
    assert nearest.entry is not None
    await cache.store.remove([question(nearest.entry.question).key])
    outcome = await other.lookup(question("How could I reset the password?"))
    assert outcome.layer is Layer.SEMANTIC
    assert outcome.entry is not None
    assert outcome.entry.question != nearest.entry.question


async def test_texts_that_are_remembered_spare_reading_and_are_forgotten_when_anything_is_invalidated(
    cache: Replica,
) -> None:
    await kept(cache)
    await cache.lookup(question(OTHER))
    cache.store.calls.clear()
    await cache.lookup(question("Where is the second nearest harbour?"))
    assert cache.store.calls["get_many"] == 0
    cache.store.invalidate("t2", b"")
    await cache.hear()
    await cache.lookup(question("Where is the third nearest harbour?"))
    assert cache.store.calls["get_many"] == 1


async def test_texts_the_model_cannot_read_whole_are_found_by_equal_text_only(cache: Replica) -> None:
    # They would look the same to a model that stops reading before they differ.
    start = "word " * 60
    for text in (start + "about cats", "something short"):
        await cache.put(question(text))
        await cache.backlog.work()
    assert cache.indexes.count("t1") == 1
    outcome = await cache.lookup(question(start + "about dogs"))
    assert (outcome.layer, outcome.vector) == (Layer.MISS, None)
    assert (await cache.lookup(question(start + "about cats"))).layer is Layer.EXACT_MEMORY


async def test_very_long_texts_are_not_even_embedded(cache: Replica) -> None:
    await kept(cache, "something short")
    assert (await cache.lookup(question("word " * 1000))).layer is Layer.MISS
    await cache.put(question("word " * 1000))
    await cache.backlog.work()
    assert cache.embedder.texts == []


async def test_a_failed_refresh_is_made_up_for(cache: Replica, clock: ManualClock) -> None:
    await kept(cache)
    other = await another(cache)
    cache.store.down = True
    await other.lookup(question(REPHRASED))
    cache.store.down = False
    clock.advance(0.6)
    assert (await other.lookup(question(REPHRASED))).layer is Layer.SEMANTIC


async def test_tenants_and_scopes_are_searched_apart(cache: Replica) -> None:
    await kept(cache)
    for asked in (question(REPHRASED, tenant="t2"), question(REPHRASED, personal=True)):
        outcome = await cache.lookup(asked)
        assert (outcome.layer, outcome.vector) == (Layer.MISS, None)
