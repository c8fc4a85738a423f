import pytest

from libs.core.errors import MeshError, Reason
from libs.testing.clock import ManualClock
from services.semantic_cache.keeping import Keeping
from services.semantic_cache.lookup import Layer
from services.semantic_cache.scope import tag_mark
from tests.unit.semantic_cache.entries import question
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.fakes import vector_of
from tests.unit.semantic_cache.replica import Replica, replica

ASKED = question("How do I reset my password?")
REPHRASED = question("How can I reset the password?")
WAIT = 5.0


async def test_an_answer_with_its_embedding_is_found_by_meaning_at_once(cache: Replica) -> None:
    assert await cache.put(ASKED, vector=vector_of(ASKED.text)) is Keeping.SEMANTIC
    assert (await cache.lookup(REPHRASED)).layer is Layer.SEMANTIC
    assert cache.embedder.texts == [REPHRASED.text]


async def test_an_answer_without_one_gets_it_in_the_background(cache: Replica) -> None:
    assert await cache.put(ASKED) is Keeping.SEMANTIC
    assert cache.embedder.texts == []
    await cache.backlog.work()
    assert (await cache.lookup(REPHRASED)).layer is Layer.SEMANTIC


@pytest.mark.parametrize(
    "asked", [question("How do I reset it?", personal=True), question("My name is Anna, who am I?")]
)
async def test_what_is_for_one_person_is_found_by_equal_text_alone(cache: Replica, asked: object) -> None:
    assert isinstance(asked, type(ASKED))
    assert await cache.put(asked, vector=vector_of(asked.text)) is Keeping.EXACT
    assert cache.store.members(asked.key) == {}


async def test_expiries_are_spread_but_never_later_than_asked(cache: Replica, clock: ManualClock) -> None:
    lives = []
    for number in range(50):
        asked = question(f"question {number}")
        await cache.put(asked, ttl=100.0)
        kept = cache.memory.get(asked.key.entry, clock.time())
        assert kept is not None
        lives.append(kept.entry.expires_at - clock.time())
    assert all(90.0 <= life <= 100.0 for life in lives)
    assert max(lives) - min(lives) > 5.0


async def test_a_new_answer_takes_the_place_of_the_old_one_in_every_layer(cache: Replica) -> None:
    await cache.put(ASKED, "old", vector=vector_of(ASKED.text))
    await cache.put(ASKED, "new", vector=vector_of(ASKED.text))
    for asked, layer in ((ASKED, Layer.EXACT_MEMORY), (REPHRASED, Layer.SEMANTIC)):
        outcome = await cache.lookup(asked)
        assert outcome.entry is not None
        assert (outcome.layer, outcome.entry.answer) == (layer, "new")


async def test_a_put_ends_its_lease(cache: Replica) -> None:
    token = (await cache.lookup(ASKED, max_wait=WAIT)).lease_token
    assert cache.store.leased(ASKED.key)
    await cache.put(ASKED, lease_token=token)
    assert not cache.store.leased(ASKED.key)


@pytest.mark.parametrize("leased", [True, False])
async def test_what_was_begun_before_an_invalidation_is_not_kept(cache: Replica, leased: bool) -> None:
    begun = await cache.lookup(ASKED, max_wait=WAIT if leased else 0.0)
    cache.store.invalidate("t1", tag_mark("product:1"))
    kept = await cache.put(ASKED, lease_token=begun.lease_token, receipt=begun.receipt, tags=("product:1",))
    assert kept is Keeping.OUTDATED
    # The next one who asks has it made anew.
    assert not cache.store.leased(ASKED.key)
    assert (await cache.lookup(ASKED)).layer is Layer.MISS
    begun = await cache.lookup(ASKED)
    assert await cache.put(ASKED, receipt=begun.receipt, tags=("product:1",)) is Keeping.SEMANTIC


async def test_a_tag_invalidates_what_bears_it(cache: Replica) -> None:
    await cache.put(ASKED, tags=("product:1", "product:2"))
    await cache.put(REPHRASED, tags=("product:3",))
    cache.store.invalidate("t1", tag_mark("product:2"))
    await cache.hear()
    assert (await cache.lookup(ASKED)).entry is None
    assert (await cache.lookup(REPHRASED)).entry is not None


async def test_of_two_answers_the_one_begun_later_stays(cache: Replica, clock: ManualClock) -> None:
    slow = await cache.lookup(ASKED)
    clock.advance(1.0)
    await cache.hear()
    fast = await cache.lookup(ASKED)
    assert await cache.put(ASKED, "later", receipt=fast.receipt) is Keeping.SEMANTIC
    assert await cache.put(ASKED, "earlier", receipt=slow.receipt) is Keeping.OUTDATED
    outcome = await cache.lookup(ASKED)
    assert outcome.entry is not None
    assert outcome.entry.answer == "later"


async def test_a_repeated_put_changes_nothing(cache: Replica) -> None:
    begun = await cache.lookup(ASKED, max_wait=WAIT)
    for _ in range(2):
        assert await cache.put(ASKED, lease_token=begun.lease_token) is Keeping.SEMANTIC


async def test_a_receipt_of_another_question_teaches_nothing(cache: Replica) -> None:
    await cache.put(ASKED, vector=vector_of(ASKED.text))
    missed = await cache.lookup(question("Where is the harbour?"))
    assert missed.receipt is not None
    assert missed.receipt.candidate
    await cache.put(REPHRASED, receipt=missed.receipt)
    await cache.backlog.work()
    assert cache.teacher.lessons == []
    assert (await cache.lookup(REPHRASED)).entry is not None


async def test_what_was_served_is_left_to_its_user_to_judge(cache: Replica) -> None:
    await cache.put(ASKED, vector=vector_of(ASKED.text))
    hits = [(asked, await cache.lookup(asked)) for asked in (ASKED, REPHRASED)]
    for asked, hit in hits:
        assert hit.entry is not None
        await cache.put(asked, "made all the same", receipt=hit.receipt)
    await cache.backlog.work()
    assert cache.teacher.lessons == []


async def test_a_full_backlog_drops_and_counts(clock: ManualClock, store: FakeEntryStore) -> None:
    cache = replica(clock, store, capacity=2)
    await cache.hear()
    keeping = [await cache.put(question(f"question {number}")) for number in range(4)]
    assert keeping == [Keeping.SEMANTIC, Keeping.SEMANTIC, Keeping.EXACT, Keeping.EXACT]
    assert cache.backlog.statistics().dropped == 2
    assert (await cache.lookup(question("question 3"))).layer is Layer.EXACT_MEMORY


async def test_a_lost_store_keeps_nothing(cache: Replica) -> None:
    cache.store.down = True
    with pytest.raises(MeshError) as raised:
        await cache.put(ASKED)
    assert raised.value.reason is Reason.STORE_UNAVAILABLE
    cache.store.down = False
    assert (await cache.lookup(ASKED)).layer is Layer.MISS


async def test_without_the_semantic_layer(clock: ManualClock, store: FakeEntryStore) -> None:
    cache = replica(clock, store, semantic=False)
    assert await cache.put(ASKED, vector=vector_of(ASKED.text)) is Keeping.EXACT
    assert store.members(ASKED.key) == {}
