import math

import pytest

from libs.core.rng import new_rng
from services.semantic_cache.decision import Candidate, decide, explain
from services.semantic_cache.guards.reasons import Guard
from services.semantic_cache.learning.choice import LearnerOptions
from services.semantic_cache.learning.features import NAMES
from services.semantic_cache.learning.learner import Learner
from tests.unit.semantic_cache.learning.worlds import entry, group

ALPHA = 0.02


def learner() -> Learner:
    return Learner(new_rng(1), LearnerOptions())


def candidate(number: int, answer: int, similarity: float, text: str) -> Candidate:
    return Candidate(entry(number), group(answer), similarity, text)


def numbers_differ(question: str, other: str) -> Guard | None:
    """The only guard here."""
    one, two = (sorted(filter(str.isdigit, text)) for text in (question, other))
    return Guard.NUMBERS if one != two else None


def negation_differs(question: str, other: str) -> Guard | None:
    """The only guard here."""
    return Guard.NEGATION if ("not" in question) != ("not" in other) else None


def test_nothing_near_is_a_miss_with_its_reason() -> None:
    decision = decide("what now", [], learner(), ALPHA)
    assert decision.weighed is None
    assert explain(decision, 0, learner(), ALPHA).reason == "nothing is near the question"


def test_the_most_similar_candidate_that_no_guard_refuses_is_weighed() -> None:
    near = [
        candidate(0, 0, 0.99, "what is 17 times 4"),
        candidate(1, 1, 0.93, "how much is 3 times 17"),
    ]
    decision = decide("what is 17 times 3", near, learner(), ALPHA, numbers_differ)
    assert decision.weighed is not None
    assert decision.weighed.candidate == near[1]
    assert decision.refused == ((near[0], Guard.NUMBERS),)


def test_a_candidate_whose_neighbours_agree_is_believed_rather_than_the_nearest() -> None:
    near = [
        candidate(0, 0, 0.90, "freeze my account"),
        *(candidate(number, 1, 0.89, f"please block account {number}") for number in (1, 2, 3)),
    ]
    weighed = decide("block the account", near, learner(), ALPHA, lambda *_: None).weighed
    assert weighed is not None
    assert weighed.candidate == near[1]


def test_three_questions_show_that_a_number_does_not_matter() -> None:
    near = [candidate(number, 1, 0.9, f"set a timer for {number} minutes") for number in (2, 3, 4)]
    weighed = decide("set a timer for 5 minutes", near, learner(), ALPHA, numbers_differ).weighed
    assert weighed is not None
    assert weighed.excused is Guard.NUMBERS
    assert weighed.features[NAMES.index("excused")] == 1


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_show_nothing(count: int) -> None:
    near = [candidate(number, 1, 0.9, f"set a timer for {number} minutes") for number in range(2, 2 + count)]
    assert decide("set a timer for 8 minutes", near, learner(), ALPHA, numbers_differ).weighed is None


def test_the_same_number_many_times_shows_nothing() -> None:
    near = [candidate(number, 1, 0.9, "set a timer for 2 minutes" + "!" * number) for number in range(6)]
    assert decide("set a timer for 8 minutes", near, learner(), ALPHA, numbers_differ).weighed is None


def test_yes_is_the_answer_to_too_much_to_show_anything() -> None:
    near = [candidate(number, 1, 0.9, f"is {number} even") for number in (2, 4, 6, 8)]
    assert decide("is 7 even", near, learner(), ALPHA, numbers_differ).weighed is None


def test_a_negation_is_never_excused() -> None:
    near = [candidate(number, 1, 0.9, f"why is it not {number}") for number in (2, 3, 4, 5)]
    decision = decide("why is it 6", near, learner(), ALPHA, negation_differs)
    assert decision.weighed is None
    assert len(decision.refused) == 4
    assert explain(decision, 4, learner(), ALPHA).reason == "guards refused every candidate"


def test_an_explanation_tells_what_was_seen() -> None:
    ours, near = learner(), [candidate(0, 0, 0.5, "what is a cat")]
    told = explain(decide("what is a dog", near, ours, ALPHA, lambda *_: None), 1, ours, ALPHA)
    assert told.similarity == 0.5
    assert told.p_wrong is not None
    assert told.p_wrong > told.threshold
    assert told.alpha == ALPHA
    assert [name for name, _ in told.features] == list(NAMES)
    assert "above the threshold" in told.reason


@pytest.mark.parametrize("alpha", [math.nan, 0.0, 0.6])
def test_an_alpha_out_of_range_is_told_even_with_nothing_to_decide(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        decide("what now", [], learner(), alpha)
