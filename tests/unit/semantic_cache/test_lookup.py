import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.errors import MeshError, Reason
from libs.testing.clock import ManualClock
from services.semantic_cache.lookup import Layer
from services.semantic_cache.scope import Question, Scope, ask
from tests.unit.semantic_cache.fakes import FakeEntryStore, vector_of
from tests.unit.semantic_cache.replica import Replica, question, replica, scope

ASKED = "How do I reset my password?"
REPHRASED = "How can I reset the password?"
OTHER = "Where is the nearest harbour?"


async def kept(cache: Replica, text: str = ASKED) -> None:
    """Put, and wait for the background."""
    await cache.put(question(text))
    await cache.backlog.work()


async def test_nothing_was_asked_before(cache: Replica) -> None:
    outcome = await cache.lookup(question(ASKED))
    assert outcome.layer is Layer.MISS
    assert outcome.entry is None


async def test_the_same_text_comes_from_memory_without_a_round_trip(cache: Replica) -> None:
    await cache.put(question(ASKED))
    cache.store.calls.clear()
    outcome = await cache.lookup(question(f" {ASKED} "))
    assert outcome.layer is Layer.EXACT_MEMORY
    assert outcome.entry is not None
    assert (outcome.entry.answer, outcome.entry.similarity) == ("the answer", 1.0)
    assert cache.store.calls.total() == 0
    assert cache.embedder.texts == []


async def test_another_replica_finds_it_in_the_store_and_then_in_memory(
    clock: ManualClock, store: FakeEntryStore, cache: Replica
) -> None:
    await cache.put(question(ASKED))
    other = replica(clock, store)
    assert (await other.lookup(question(ASKED))).layer is Layer.EXACT_REDIS
    assert (await other.lookup(question(ASKED))).layer is Layer.EXACT_MEMORY


async def test_the_same_meaning_is_found_and_remembered(cache: Replica) -> None:
    await kept(cache)
    outcome = await cache.lookup(question(REPHRASED))
    assert outcome.layer is Layer.SEMANTIC
    assert outcome.entry is not None
    assert outcome.entry.answer == "the answer"
    assert 0.9 <= outcome.entry.similarity < 1.0
    again = await cache.lookup(question(REPHRASED))
    assert again.layer is Layer.EXACT_MEMORY
    assert again.entry == outcome.entry


async def test_what_was_found_by_meaning_spares_other_replicas_the_search(
    clock: ManualClock, store: FakeEntryStore, cache: Replica
) -> None:
    await kept(cache)
    await cache.lookup(question(REPHRASED))
    await cache.backlog.work()
    other = replica(clock, store)
    outcome = await other.lookup(question(REPHRASED))
    assert outcome.layer is Layer.EXACT_REDIS
    assert outcome.entry is not None
    assert outcome.entry.similarity < 1.0
    assert other.embedder.texts == []


async def test_an_alias_lives_no_longer_than_the_answer(cache: Replica) -> None:
    await cache.put(question(ASKED), ttl=100.0)
    await cache.backlog.work()
    cache.clock.advance(80.0)
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.SEMANTIC
    await cache.backlog.work()
    cache.clock.advance(20.0)
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.MISS


async def test_an_alias_does_not_push_out_an_answer_of_its_own(cache: Replica) -> None:
    await kept(cache)
    await cache.lookup(question(REPHRASED))
    await cache.put(question(REPHRASED), "its own answer")
    await cache.backlog.work()
    entry = await cache.store.get(question(REPHRASED).key)
    assert entry is not None
    assert entry.answer == "its own answer"


async def test_a_miss_by_meaning_hands_out_the_embedding(cache: Replica) -> None:
    await kept(cache)
    outcome = await cache.lookup(question(OTHER))
    assert outcome.layer is Layer.MISS
    assert outcome.vector is not None
    assert outcome.vector.tolist() == vector_of(OTHER).tolist()


async def test_nothing_is_embedded_while_a_scope_has_nothing_to_search(cache: Replica) -> None:
    outcome = await cache.lookup(question(ASKED))
    assert outcome.vector is None
    assert cache.embedder.texts == []


async def test_what_is_personal_is_never_embedded(cache: Replica) -> None:
    await kept(cache)
    cache.embedder.texts.clear()
    mine = question(REPHRASED, personal=True)
    assert (await cache.lookup(mine)).layer is Layer.MISS
    assert not await cache.put(mine, vector=vector_of(REPHRASED))
    await cache.backlog.work()
    assert cache.embedder.texts == []
    assert (await cache.lookup(question("How should I reset my password", personal=True))).layer is Layer.MISS
    assert (await cache.lookup(mine)).layer is Layer.EXACT_MEMORY


async def test_exact_only_is_one_read(cache: Replica) -> None:
    await kept(cache)
    cache.store.calls.clear()
    cache.embedder.texts.clear()
    assert (await cache.lookup(question(REPHRASED), exact_only=True)).layer is Layer.MISS
    assert cache.store.calls == {"get": 1}
    assert cache.embedder.texts == []


async def test_lookalikes_are_misses(cache: Replica) -> None:
    await kept(cache, "What is 17 times 3?")
    await kept(cache, "Is the red button safe to press?")
    assert (await cache.lookup(question("What is the 17 times 4?"))).layer is Layer.MISS
    assert (await cache.lookup(question("Is the red button not safe to press?"))).layer is Layer.MISS


async def test_what_tells_of_the_speaker_is_found_by_equal_text_alone(cache: Replica) -> None:
    told = "My name is Anna and how can I reset the password?"
    await kept(cache, ASKED)
    cache.embedder.texts.clear()
    assert (await cache.lookup(question(told))).layer is Layer.MISS
    assert not await cache.put(question(told), vector=vector_of(told))
    await cache.backlog.work()
    assert cache.embedder.texts == []
    assert cache.indexes.count("t1") == 1
    assert (await cache.lookup(question(told.replace("how can", "how do")))).layer is Layer.MISS
    assert (await cache.lookup(question(told))).layer is Layer.EXACT_MEMORY


async def test_an_expired_answer_is_never_given(cache: Replica) -> None:
    await cache.put(question(ASKED), ttl=100.0)
    await cache.backlog.work()
    for _ in range(9):
        # Hits all along the way do not prolong it.
        assert (await cache.lookup(question(ASKED))).entry is not None
        cache.clock.advance(10.0)
    cache.clock.advance(10.0)
    assert (await cache.lookup(question(ASKED))).layer is Layer.MISS
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.MISS


async def test_entries_can_be_found_by_meaning_after_a_restart(
    clock: ManualClock, store: FakeEntryStore, cache: Replica
) -> None:
    await kept(cache)
    restarted = replica(clock, store)
    assert (await restarted.lookup(question(REPHRASED))).layer is Layer.SEMANTIC


async def test_a_scope_larger_than_one_reading_is_read_whole(clock: ManualClock) -> None:
    store = FakeEntryStore(clock, news=3)
    cache = replica(clock, store)
    for number in range(10):
        text = f"question about subject{number} matter{number}"
        await cache.put(question(text), vector=vector_of(text))
    restarted = replica(clock, store)
    outcome = await restarted.lookup(question("the question about subject0 matter0"))
    assert outcome.layer is Layer.SEMANTIC
    assert restarted.indexes.count("t1") == 10


async def test_replicas_learn_of_each_others_entries_within_a_second(
    clock: ManualClock, store: FakeEntryStore, cache: Replica
) -> None:
    other = replica(clock, store)
    await other.lookup(question(OTHER))
    await kept(cache)
    assert (await other.lookup(question(REPHRASED))).layer is Layer.MISS
    clock.advance(1.0)
    assert (await other.lookup(question(REPHRASED))).layer is Layer.SEMANTIC


async def test_an_evicted_entry_is_a_miss_and_leaves_the_index(cache: Replica) -> None:
    await kept(cache)
    cache.store.drop_entries()
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.MISS
    assert cache.indexes.count("t1") == 0


async def test_texts_the_model_cannot_read_whole_are_found_by_equal_text_only(cache: Replica) -> None:
    # They would look the same to a model that stops reading before they differ.
    start = "word " * 60
    await kept(cache, start + "about cats")
    await kept(cache, "something short")
    assert cache.indexes.count("t1") == 1
    outcome = await cache.lookup(question(start + "about dogs"))
    assert (outcome.layer, outcome.vector) == (Layer.MISS, None)
    assert (await cache.lookup(question(start + "about cats"))).layer is Layer.EXACT_MEMORY


async def test_very_long_texts_are_not_even_embedded(cache: Replica) -> None:
    await kept(cache, "something short")
    cache.embedder.texts.clear()
    assert (await cache.lookup(question("word " * 1000))).layer is Layer.MISS
    assert not await cache.put(question("word " * 1000))
    assert cache.embedder.texts == []


async def test_a_lost_store_is_a_miss_and_is_left_alone_for_a_while(cache: Replica) -> None:
    cache.store.down = True
    assert (await cache.lookup(question(ASKED))).layer is Layer.UNAVAILABLE
    assert (await cache.lookup(question(ASKED))).layer is Layer.UNAVAILABLE
    assert cache.store.calls.total() == 1
    cache.store.down = False
    cache.clock.advance(1.0)
    assert (await cache.lookup(question(ASKED))).layer is Layer.MISS


async def test_memory_answers_while_the_store_is_lost(cache: Replica) -> None:
    await cache.put(question(ASKED))
    cache.store.down = True
    await cache.lookup(question(OTHER))
    assert (await cache.lookup(question(ASKED))).layer is Layer.EXACT_MEMORY


async def test_a_failed_refresh_is_made_up_for(cache: Replica, clock: ManualClock, store: FakeEntryStore) -> None:
    await kept(cache)
    other = replica(clock, store)
    store.down = True
    await other.lookup(question(REPHRASED))
    store.down = False
    clock.advance(0.6)
    assert (await other.lookup(question(REPHRASED))).layer is Layer.SEMANTIC


@pytest.mark.parametrize("reason", [Reason.OVERLOADED, Reason.PEER_UNAVAILABLE, Reason.DRAINING])
async def test_a_busy_model_is_a_miss(cache: Replica, reason: Reason) -> None:
    await kept(cache)
    cache.embedder.fails_with = reason
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.UNAVAILABLE


async def test_a_broken_model_is_no_secret(cache: Replica) -> None:
    await kept(cache)
    cache.embedder.fails_with = Reason.INTERNAL
    with pytest.raises(MeshError):
        await cache.lookup(question(REPHRASED))


TEXTS = [ASKED, REPHRASED, "reset password", OTHER]
scopes = st.builds(
    scope, st.sampled_from(["t1", "t2"]), st.sampled_from(["u1", "u2"]), personal=st.booleans(), tier=st.just(1)
)


@given(
    puts=st.lists(st.tuples(scopes, st.sampled_from(TEXTS), st.integers(0, 1)), max_size=12),
    asks=st.lists(st.tuples(scopes, st.sampled_from(TEXTS), st.integers(0, 1)), max_size=12),
)
@settings(max_examples=60, deadline=None, derandomize=True)
async def test_no_answer_ever_leaves_its_tenant_or_its_user(
    puts: list[tuple[Scope, str, int]], asks: list[tuple[Scope, str, int]]
) -> None:
    clock = ManualClock()
    store = FakeEntryStore(clock)
    replicas = [replica(clock, store), replica(clock, store)]
    for number, (owner, text, at) in enumerate(puts):
        # The answer says whose it is.
        whose = f"{owner.tenant_id}/{owner.user_id if owner.personal else '*'}/{number}"
        await replicas[at].put(ask(owner, text), whose)
        await replicas[at].backlog.work()
    clock.advance(2.0)
    for asker, text, at in asks:
        asked: Question = ask(asker, text)
        outcome = await replicas[at].lookup(asked)
        await replicas[at].backlog.work()
        if outcome.entry is None:
            continue
        tenant, user, _ = outcome.entry.answer.split("/")
        assert tenant == asker.tenant_id
        assert user == (asker.user_id if asker.personal else "*")
        if asker.personal:
            assert outcome.entry.question == asked.text
