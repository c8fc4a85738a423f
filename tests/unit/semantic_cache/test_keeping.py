import pytest

from libs.core.errors import MeshError, Reason
from libs.testing.clock import ManualClock
from services.semantic_cache.lookup import Layer
from tests.unit.semantic_cache.fakes import FakeEntryStore, vector_of
from tests.unit.semantic_cache.replica import Replica, question, replica

ASKED = "How do I reset my password?"
REPHRASED = "How can I reset the password?"


async def test_an_answer_with_its_embedding_is_found_by_meaning_at_once(cache: Replica) -> None:
    assert await cache.put(question(ASKED), vector=vector_of(ASKED))
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.SEMANTIC
    assert cache.embedder.texts == [REPHRASED]


async def test_an_answer_without_one_gets_it_in_the_background(cache: Replica) -> None:
    assert await cache.put(question(ASKED))
    assert cache.embedder.texts == []
    await cache.backlog.work()
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.SEMANTIC


async def test_expiries_are_spread_but_never_later_than_asked(cache: Replica) -> None:
    lives = []
    for number in range(50):
        asked = question(f"question {number}")
        await cache.put(asked, ttl=100.0)
        entry = cache.memory.get(asked.key.entry, cache.clock.time())
        assert entry is not None
        lives.append(entry.expires_at - cache.clock.time())
    assert all(90.0 <= life <= 100.0 for life in lives)
    assert max(lives) - min(lives) > 5.0


async def test_a_full_backlog_drops_and_counts(clock: ManualClock, store: FakeEntryStore) -> None:
    cache = replica(clock, store, capacity=2)
    semantic = [await cache.put(question(f"question {number}")) for number in range(4)]
    assert semantic == [True, True, False, False]
    assert cache.backlog.statistics().dropped == 2
    assert (await cache.lookup(question("question 3"))).layer is Layer.EXACT_MEMORY


async def test_a_lost_store_keeps_nothing(cache: Replica) -> None:
    cache.store.down = True
    with pytest.raises(MeshError) as raised:
        await cache.put(question(ASKED))
    assert raised.value.reason is Reason.STORE_UNAVAILABLE
    cache.store.down = False
    assert (await cache.lookup(question(ASKED))).layer is Layer.MISS


async def test_the_backlog_survives_a_lost_store_and_a_busy_model(cache: Replica) -> None:
    await cache.put(question("one"))
    cache.store.down = True
    await cache.backlog.work()
    cache.store.down = False
    await cache.put(question("two"))
    cache.embedder.fails_with = Reason.OVERLOADED
    await cache.backlog.work()
    cache.embedder.fails_with = None
    await cache.put(question("three"))
    await cache.backlog.work()
    assert cache.backlog.statistics() == (0, 1, 2)


async def test_an_entry_that_is_gone_gets_no_vector(cache: Replica) -> None:
    await cache.put(question(ASKED), ttl=10.0)
    cache.clock.advance(10.0)
    await cache.backlog.work()
    await cache.put(question(REPHRASED))
    cache.store.drop_entries()
    await cache.backlog.work()
    assert cache.indexes.count("t1") == 0
    assert cache.store.members == {}
