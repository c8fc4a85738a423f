import pytest

from libs.core.errors import Reason
from libs.testing.clock import ManualClock
from services.semantic_cache.judging import Verdict
from services.semantic_cache.lookup import Layer
from services.semantic_cache.receipts import Ending
from tests.unit.semantic_cache.entries import question
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.fakes import vector_of
from tests.unit.semantic_cache.replica import ACKNOWLEDGED, RATE, Replica, replica

ASKED = "How do I reset my password?"
REPHRASED = "How can I reset the password?"
OTHER = "Where is the nearest harbour?"
WAIT = 5.0


async def kept(cache: Replica, text: str = ASKED) -> None:
    """Put, and wait for the background."""
    await cache.put(question(text))
    await cache.backlog.work()


async def aliased(cache: Replica) -> None:
    """An answer, and another question that it was served for by meaning."""
    await kept(cache)
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.SEMANTIC
    await cache.backlog.work()


async def another(cache: Replica) -> Replica:
    """Another replica of the same cache."""
    other = replica(cache.clock, cache.store)
    await other.hear()
    return other


async def test_nothing_was_asked_before(cache: Replica) -> None:
    outcome = await cache.lookup(question(ASKED))
    assert outcome.layer is Layer.MISS
    assert outcome.entry is None
    assert outcome.receipt is not None
    assert (outcome.receipt.ending, outcome.receipt.candidate) == (Ending.MISSED, b"")


async def test_the_same_text_comes_from_memory_without_a_round_trip(cache: Replica) -> None:
    await cache.put(question(ASKED))
    cache.store.calls.clear()
    outcome = await cache.lookup(question(f" {ASKED} "))
    assert outcome.layer is Layer.EXACT_MEMORY
    assert outcome.entry is not None
    assert (outcome.entry.answer, outcome.similarity, outcome.wrong_probability) == ("the answer", 1.0, 0.0)
    assert cache.store.calls.total() == 0
    assert cache.embedder.texts == []


async def test_memory_that_may_not_have_heard_is_not_asked(cache: Replica, clock: ManualClock) -> None:
    await cache.put(question(ASKED))
    clock.advance(ACKNOWLEDGED)
    assert (await cache.lookup(question(ASKED))).layer is Layer.EXACT_REDIS
    await cache.hear()
    assert (await cache.lookup(question(ASKED))).layer is Layer.EXACT_MEMORY


async def test_another_replica_finds_it_in_the_store_and_then_in_memory(cache: Replica) -> None:
    await cache.put(question(ASKED))
    other = await another(cache)
    assert (await other.lookup(question(ASKED))).layer is Layer.EXACT_REDIS
    assert (await other.lookup(question(ASKED))).layer is Layer.EXACT_MEMORY


async def test_the_same_meaning_is_found_and_says_how_sure_it_is(cache: Replica) -> None:
    await kept(cache)
    outcome = await cache.lookup(question(REPHRASED))
    assert outcome.layer is Layer.SEMANTIC
    assert outcome.entry is not None
    assert outcome.entry.answer == "the answer"
    assert 0.9 <= outcome.similarity < 1.0
    assert outcome.receipt is not None
    receipt = outcome.receipt
    assert (receipt.ending, receipt.candidate) == (Ending.SERVED, question(ASKED).key.entry)
    assert (receipt.question, receipt.propensity) == (question(REPHRASED).key.entry, 0.125)
    assert receipt.wrong_probability == outcome.wrong_probability
    assert cache.judge.rates == [RATE]


async def test_what_was_found_by_meaning_is_not_searched_for_again_but_judged_again(cache: Replica) -> None:
    await aliased(cache)
    cache.embedder.texts.clear()
    for seen in (cache, await another(cache)):
        again = await seen.lookup(question(REPHRASED))
        assert again.layer is Layer.SEMANTIC
        assert again.similarity < 1.0
        assert again.receipt is not None
        assert again.receipt.candidate == question(ASKED).key.entry
        assert seen.judge.rates[-1] == RATE
        assert seen.embedder.texts == []


@pytest.mark.parametrize(
    ("verdict", "layer", "ending"),
    [(Verdict.AUDIT, Layer.AUDIT, Ending.AUDITED), (Verdict.MISS, Layer.MISS, Ending.MISSED)],
)
async def test_an_alias_that_is_not_served_now_is_no_hit_and_can_be_learned_from(
    cache: Replica, verdict: Verdict, layer: Layer, ending: Ending, clock: ManualClock
) -> None:
    await aliased(cache)
    clock.advance(100.0)
    for seen in (cache, await another(cache)):
        await seen.hear()
        seen.judge.verdicts.append(verdict)
        outcome = await seen.lookup(question(REPHRASED))
        assert (outcome.layer, outcome.entry) == (layer, None)
        receipt = outcome.receipt
        assert receipt is not None
        assert (receipt.ending, receipt.candidate) == (ending, question(ASKED).key.entry)
        # The answer is going to be made now, not when the one that was found was.
        assert receipt.asked_at == cache.store.instant()
        # Chance was asked once.
        assert not seen.judge.verdicts
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.SEMANTIC


async def test_a_fresh_answer_takes_the_place_of_an_alias_everywhere(cache: Replica) -> None:
    await aliased(cache)
    other = await another(cache)
    assert (await other.lookup(question(REPHRASED))).layer is Layer.SEMANTIC
    cache.judge.verdicts.append(Verdict.MISS)
    missed = await cache.lookup(question(REPHRASED))
    await cache.put(question(REPHRASED), "its own answer", receipt=missed.receipt)
    outcome = await cache.lookup(question(REPHRASED))
    assert outcome.layer is Layer.EXACT_MEMORY
    other.judge.verdicts.append(Verdict.MISS)
    outcome = await other.lookup(question(REPHRASED))
    assert outcome.entry is not None
    assert (outcome.layer, outcome.entry.answer) == (Layer.EXACT_REDIS, "its own answer")


@pytest.mark.parametrize(("verdict", "layer"), [(Verdict.AUDIT, Layer.AUDIT), (Verdict.MISS, Layer.MISS)])
async def test_a_candidate_that_is_not_served_can_be_learned_from(
    cache: Replica, verdict: Verdict, layer: Layer
) -> None:
    await kept(cache)
    cache.judge.verdicts.append(verdict)
    outcome = await cache.lookup(question(REPHRASED))
    assert (outcome.layer, outcome.entry) == (layer, None)
    assert outcome.vector is not None
    assert outcome.receipt is not None
    assert outcome.receipt.candidate == question(ASKED).key.entry
    assert outcome.receipt.features
    await cache.backlog.work()
    assert (await cache.store.open(question(REPHRASED).key)).kept is None


async def test_an_explanation_is_made_only_for_who_wants_it(cache: Replica) -> None:
    await kept(cache)
    assert (await cache.lookup(question(OTHER))).judgement is not None
    told = (await cache.lookup(question(OTHER), explain=True)).judgement
    assert told is not None
    assert told.reason
    assert [considered.similarity for considered in told.considered] != []


async def test_an_alias_lives_no_longer_than_the_answer(cache: Replica, clock: ManualClock) -> None:
    await cache.put(question(ASKED), ttl=100.0)
    await cache.backlog.work()
    clock.advance(80.0)
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.SEMANTIC
    await cache.backlog.work()
    clock.advance(20.0)
    await cache.hear()
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.MISS


async def test_an_alias_does_not_push_out_an_answer_of_its_own(cache: Replica) -> None:
    await kept(cache)
    await cache.lookup(question(REPHRASED))
    await cache.put(question(REPHRASED), "its own answer")
    await cache.backlog.work()
    (entry,) = await cache.store.get_many([question(REPHRASED).key])
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
    await cache.put(mine, vector=vector_of(REPHRASED))
    await cache.backlog.work()
    assert cache.embedder.texts == []
    assert (await cache.lookup(question("How should I reset my password", personal=True))).layer is Layer.MISS
    assert (await cache.lookup(mine)).layer is Layer.EXACT_MEMORY


async def test_exact_only_is_one_round_trip(cache: Replica) -> None:
    await kept(cache)
    cache.store.calls.clear()
    cache.embedder.texts.clear()
    assert (await cache.lookup(question(REPHRASED), exact_only=True)).layer is Layer.MISS
    assert cache.store.calls == {"open": 1}
    assert cache.embedder.texts == []


async def test_what_tells_of_the_speaker_is_found_by_equal_text_alone(cache: Replica) -> None:
    told = "My name is Anna and how can I reset the password?"
    await kept(cache, ASKED)
    cache.embedder.texts.clear()
    assert (await cache.lookup(question(told))).layer is Layer.MISS
    await cache.put(question(told), vector=vector_of(told))
    await cache.backlog.work()
    assert cache.embedder.texts == []
    assert cache.indexes.count("t1") == 1
    assert (await cache.lookup(question(told.replace("how can", "how do")))).layer is Layer.MISS
    assert (await cache.lookup(question(told))).layer is Layer.EXACT_MEMORY


async def test_an_expired_answer_is_never_given(cache: Replica, clock: ManualClock) -> None:
    await cache.put(question(ASKED), ttl=100.0)
    await cache.backlog.work()
    for _ in range(9):
        # Hits all along the way do not prolong it.
        await cache.hear()
        assert (await cache.lookup(question(ASKED))).layer is Layer.EXACT_MEMORY
        clock.advance(10.0)
    clock.advance(10.0)
    await cache.hear()
    assert (await cache.lookup(question(ASKED))).layer is Layer.MISS
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.MISS


async def test_what_was_invalidated_is_found_in_no_layer(cache: Replica, clock: ManualClock) -> None:
    await aliased(cache)
    cache.store.invalidate("t1", question(ASKED).key.entry)
    await cache.hear()
    clock.advance(0.1)
    for text in (ASKED, REPHRASED, "How should I reset a password"):
        assert (await cache.lookup(question(text))).entry is None


async def test_what_was_wrong_for_a_text_is_not_served_for_it_again_and_still_for_others(
    cache: Replica, clock: ManualClock
) -> None:
    await aliased(cache)
    cache.store.invalidate("t1", question(REPHRASED).key.entry)
    # A replica that starts afterwards has not heard of it.
    for seen in (cache, await another(cache)):
        await seen.hear()
        assert (await seen.lookup(question(REPHRASED))).entry is None
        assert (await seen.lookup(question(ASKED))).entry is not None
        assert (await seen.lookup(question("How can I reset a password?"))).layer is Layer.SEMANTIC
    clock.advance(ACKNOWLEDGED)
    await cache.hear()
    await cache.put(question(REPHRASED), "its own answer")
    outcome = await cache.lookup(question(REPHRASED))
    assert outcome.entry is not None
    assert outcome.entry.answer == "its own answer"


async def test_a_lost_store_is_a_miss_and_is_left_alone_for_a_while(cache: Replica, clock: ManualClock) -> None:
    cache.store.down = True
    assert (await cache.lookup(question(ASKED))).layer is Layer.UNAVAILABLE
    assert (await cache.lookup(question(ASKED))).layer is Layer.UNAVAILABLE
    assert cache.store.calls.total() == 1
    cache.store.down = False
    clock.advance(1.0)
    assert (await cache.lookup(question(ASKED))).layer is Layer.MISS


async def test_memory_answers_while_the_store_is_lost_for_as_long_as_it_is_trusted(
    cache: Replica, clock: ManualClock
) -> None:
    await cache.put(question(ASKED))
    cache.store.down = cache.link.down = True
    await cache.lookup(question(OTHER))
    assert (await cache.lookup(question(ASKED))).layer is Layer.EXACT_MEMORY
    clock.advance(ACKNOWLEDGED)
    await cache.hear()
    assert (await cache.lookup(question(ASKED))).layer is Layer.UNAVAILABLE


@pytest.mark.parametrize("reason", [Reason.OVERLOADED, Reason.PEER_UNAVAILABLE, Reason.DRAINING])
async def test_a_busy_model_is_a_miss_that_keeps_its_lease(cache: Replica, reason: Reason) -> None:
    await kept(cache)
    cache.embedder.fails_with = reason
    outcome = await cache.lookup(question(REPHRASED), max_wait=WAIT)
    assert outcome.layer is Layer.UNAVAILABLE
    assert outcome.lease_token
    assert outcome.receipt is not None
    await cache.backlog.work()
    assert cache.store.leased(question(REPHRASED).key)


async def test_a_broken_model_is_a_miss_and_the_lease_stays_with_who_makes_the_answer(cache: Replica) -> None:
    await kept(cache)
    cache.embedder.fails_with = Reason.INTERNAL
    outcome = await cache.lookup(question(REPHRASED), max_wait=WAIT)
    assert outcome.layer is Layer.UNAVAILABLE
    assert len(outcome.lease_token) == 16
    # The store is not to blame: the next question is looked up as ever.
    assert (await cache.lookup(question(ASKED))).layer is Layer.EXACT_MEMORY


async def test_an_alias_is_not_the_same_text(cache: Replica) -> None:
    await aliased(cache)
    for asked in (cache, await another(cache)):
        outcome = await asked.lookup(question(REPHRASED), exact_only=True, max_wait=WAIT)
        assert outcome.layer in (Layer.MISS, Layer.WAITED)
        assert outcome.entry is None


async def test_only_who_is_willing_to_wait_gets_a_lease(cache: Replica) -> None:
    assert not (await cache.lookup(question(ASKED))).lease_token
    first = await cache.lookup(question(ASKED), max_wait=WAIT)
    assert len(first.lease_token) == 16
    assert first.receipt is not None
    assert first.receipt.asked_at == int.from_bytes(first.lease_token[:8], "big")
    assert cache.store.leased(question(ASKED).key)


async def test_a_hit_by_meaning_gives_its_lease_back(cache: Replica) -> None:
    await kept(cache)
    outcome = await cache.lookup(question(REPHRASED), max_wait=WAIT)
    assert (outcome.layer, outcome.lease_token) == (Layer.SEMANTIC, b"")
    await cache.backlog.work()
    assert not cache.store.leased(question(REPHRASED).key)
    assert (await (await another(cache)).lookup(question(REPHRASED), max_wait=WAIT)).layer is Layer.SEMANTIC


async def test_an_audit_and_a_miss_by_meaning_keep_theirs(cache: Replica) -> None:
    await kept(cache)
    cache.judge.verdicts += [Verdict.AUDIT]
    assert (await cache.lookup(question(REPHRASED), max_wait=WAIT)).lease_token
    assert (await cache.lookup(question(OTHER), max_wait=WAIT)).lease_token


async def test_an_evicted_entry_is_a_miss_and_leaves_the_index(cache: Replica) -> None:
    await kept(cache)
    cache.store.evict()
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.MISS
    assert cache.indexes.count("t1") == 0


async def test_without_the_semantic_layer_equal_texts_are_found(clock: ManualClock, store: FakeEntryStore) -> None:
    cache = replica(clock, store, semantic=False)
    await cache.hear()
    await kept(cache)
    assert (await cache.lookup(question(ASKED))).layer is Layer.EXACT_MEMORY
    assert (await cache.lookup(question(REPHRASED))).layer is Layer.MISS
    assert cache.embedder.texts == []
