import pytest

from libs.core.errors import Reason
from services.semantic_cache.entry import answer_group
from services.semantic_cache.judging import Verdict
from services.semantic_cache.lookup import Layer, Outcome
from services.semantic_cache.scope import Question
from tests.unit.semantic_cache.entries import question
from tests.unit.semantic_cache.fakes import vector_of
from tests.unit.semantic_cache.replica import Replica

TARGET = question("How do I reset my password?")
ASKED = question("How can I reset the password?")
ANSWER = "Press the red button on the page of your account."
ALIKE = "Press the RED button on the page of  your account."
MEANT = "The red button on your account page: press it."
DIFFERENT = "Ask your administrator for help with that."


async def missed(cache: Replica, verdict: Verdict = Verdict.MISS, asked: Question = ASKED) -> Outcome:
    """A lookup whose candidate was the answer to another question, and was not served."""
    await cache.put(TARGET, ANSWER, vector=vector_of(TARGET.text))
    cache.judge.verdicts.append(verdict)
    outcome = await cache.lookup(asked)
    assert outcome.receipt is not None
    assert outcome.receipt.candidate == TARGET.key.entry
    return outcome


def group_of(cache: Replica, asked: Question) -> bytes:
    return cache.store.members(asked.key)[asked.key.entry].group


@pytest.mark.parametrize("verdict", [Verdict.MISS, Verdict.AUDIT])
@pytest.mark.parametrize("fresh", [ANSWER, ALIKE, MEANT])
async def test_a_fresh_answer_that_says_the_same_shows_that_the_candidate_was_right(
    cache: Replica, verdict: Verdict, fresh: str
) -> None:
    outcome = await missed(cache, verdict)
    await cache.put(ASKED, fresh, vector=outcome.vector, receipt=outcome.receipt)
    await cache.backlog.work()
    assert cache.teacher.lessons == [("t1", "request-1", outcome.receipt, answer_group(ANSWER))]
    # They are of one group from now on: whoever is near to both of them has two witnesses.
    assert group_of(cache, ASKED) == group_of(cache, TARGET) == answer_group(ANSWER)


@pytest.mark.parametrize("verdict", [Verdict.MISS, Verdict.AUDIT])
async def test_a_different_one_shows_that_it_was_wrong(cache: Replica, verdict: Verdict) -> None:
    outcome = await missed(cache, verdict)
    await cache.put(ASKED, DIFFERENT, vector=outcome.vector, receipt=outcome.receipt)
    await cache.backlog.work()
    assert cache.teacher.lessons == [("t1", "request-1", outcome.receipt, answer_group(DIFFERENT))]
    assert group_of(cache, ASKED) == answer_group(DIFFERENT)
    assert group_of(cache, TARGET) == answer_group(ANSWER)


async def test_answers_that_differ_in_a_number_are_different(cache: Replica) -> None:
    await cache.put(TARGET, "It takes 5 working days.", vector=vector_of(TARGET.text))
    cache.judge.verdicts.append(Verdict.AUDIT)
    outcome = await cache.lookup(ASKED)
    await cache.put(ASKED, "It takes 6 working days.", receipt=outcome.receipt)
    await cache.backlog.work()
    assert [lesson[3] for lesson in cache.teacher.lessons] == [answer_group("It takes 6 working days.")]


async def test_a_candidate_that_is_gone_counts_as_wrong(cache: Replica) -> None:
    outcome = await missed(cache)
    await cache.store.remove([TARGET.key])
    await cache.put(ASKED, ANSWER, vector=outcome.vector, receipt=outcome.receipt)
    await cache.backlog.work()
    assert [lesson[-1] for lesson in cache.teacher.lessons] == [answer_group(ANSWER)]
    assert group_of(cache, ASKED) == answer_group(ANSWER)


async def test_what_lookup_did_not_embed_is_embedded_afterwards(cache: Replica) -> None:
    outcome = await missed(cache)
    await cache.put(ASKED, MEANT, receipt=outcome.receipt)
    assert ASKED.key.entry not in cache.store.members(ASKED.key)
    await cache.backlog.work()
    assert group_of(cache, ASKED) == answer_group(ANSWER)
    assert (await cache.lookup(question("How could I reset the password?"))).layer is Layer.SEMANTIC


async def test_an_audit_of_an_alias_is_settled_too(cache: Replica) -> None:
    await cache.put(TARGET, ANSWER, vector=vector_of(TARGET.text))
    assert (await cache.lookup(ASKED)).layer is Layer.SEMANTIC
    cache.judge.verdicts.append(Verdict.AUDIT)
    audited = await cache.lookup(ASKED)
    assert audited.layer is Layer.AUDIT
    await cache.put(ASKED, DIFFERENT, receipt=audited.receipt)
    await cache.backlog.work()
    assert [lesson[3] for lesson in cache.teacher.lessons] == [answer_group(DIFFERENT)]
    outcome = await cache.lookup(ASKED)
    assert outcome.entry is not None
    assert outcome.entry.answer == DIFFERENT


async def test_what_nobody_was_near_to_teaches_nothing(cache: Replica) -> None:
    outcome = await cache.lookup(ASKED)
    await cache.put(ASKED, ANSWER, receipt=outcome.receipt)
    await cache.backlog.work()
    assert cache.teacher.lessons == []


async def test_a_lost_store_and_a_busy_model_cost_a_lesson_and_nothing_else(cache: Replica) -> None:
    outcome = await missed(cache)
    await cache.put(ASKED, MEANT, vector=outcome.vector, receipt=outcome.receipt)
    cache.teacher.down = True
    await cache.backlog.work()
    cache.teacher.down = False
    cache.embedder.fails_with = Reason.OVERLOADED
    await cache.put(question("one more"))
    await cache.backlog.work()
    cache.embedder.fails_with = None
    await cache.put(question("another one"))
    await cache.backlog.work()
    assert cache.backlog.statistics() == (0, 1, 2)
    assert (await cache.lookup(ASKED)).entry is not None


async def test_an_entry_that_is_gone_gets_no_vector(cache: Replica) -> None:
    await cache.put(TARGET)
    cache.store.evict()
    await cache.backlog.work()
    assert cache.store.members(TARGET.key) == {}
    assert cache.indexes.count("t1") == 0


async def test_an_entry_whose_answer_was_replaced_meanwhile_gets_no_vector_of_the_old_one(cache: Replica) -> None:
    await cache.put(TARGET, "old")
    await cache.put(TARGET, "new", vector=vector_of(TARGET.text))
    await cache.backlog.work()
    assert group_of(cache, TARGET) == answer_group("new")
