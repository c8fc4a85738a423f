import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.decision import Verdict, judge
from tests.unit.semantic_cache.properties import seeded


@pytest.mark.parametrize(
    ("question", "candidate"),
    [
        ("What is the capital of France?", "What's the capital city of France?"),
        ("How do I reset my password?", "What are the steps to reset my password?"),
        ("Who wrote Hamlet?", "Who is the author of Hamlet?"),
        ("What is 17 times 3?", "What's 17 times 3"),
        ("Why isn't my card working?", "Why is my card not working?"),
        ("Which one is the best option?", "Which option is the best?"),
        ("Wie hoch ist der Eiffelturm?", "Welche Höhe hat der Eiffelturm?"),
    ],
)
def test_a_rephrasing(question: str, candidate: str) -> None:
    assert judge(question, candidate, 0.95, 0.9) is Verdict.SAME_MEANING


@pytest.mark.parametrize(
    ("question", "candidate", "verdict"),
    [
        ("What is 17 times 3?", "What is 17 times 4?", Verdict.NUMBERS_DIFFER),
        ("Convert 5 miles to kilometres", "Convert 5.5 miles to kilometres", Verdict.NUMBERS_DIFFER),
        ("What is 3 minus 5?", "What is 5 minus 3?", Verdict.NUMBERS_DIFFER),
        ("Is -5 degrees cold?", "Is 5 degrees cold?", Verdict.NUMBERS_DIFFER),
        ("A visa for two months", "A visa for three months", Verdict.NUMBERS_DIFFER),
        ("A visa for one month", "A visa for two months", Verdict.NUMBERS_DIFFER),
        ("Who was the second president?", "Who was the third president?", Verdict.NUMBERS_DIFFER),
        ("Explain version 1.2.3", "Explain version 1.2.4", Verdict.NUMBERS_DIFFER),
        ("Is it safe?", "Is it not safe?", Verdict.NEGATION_DIFFERS),
        ("Why is my card working?", "Why isn\u2019t my card working?", Verdict.NEGATION_DIFFERS),
        ("Foods with gluten", "Foods without gluten", Verdict.NEGATION_DIFFERS),
        ("How do I enable alerts?", "How do I disable alerts?", Verdict.OPPOSITE),
        ("What is the largest city?", "What is the smallest city?", Verdict.OPPOSITE),
        ("What is the biggest city?", "What is the smallest city?", Verdict.OPPOSITE),
        ("Move money from savings to checking", "Move money from checking to savings", Verdict.REORDERED),
        ("Does Anna owe Ben?", "Does Ben owe Anna?", Verdict.REORDERED),
    ],
)
def test_a_lookalike(question: str, candidate: str, verdict: Verdict) -> None:
    assert judge(question, candidate, 0.999, 0.9) is verdict
    assert judge(candidate, question, 0.999, 0.9) is verdict


def test_the_threshold_comes_first() -> None:
    assert judge("a", "a", 0.8999, 0.9) is Verdict.TOO_FAR
    assert judge("a", "a", 0.9, 0.9) is Verdict.SAME_MEANING


@given(st.text(), st.text(), st.floats(0.9, 1.0))
@seeded
def test_it_does_not_matter_which_was_asked_first(one: str, two: str, similarity: float) -> None:
    assert (judge(one, two, similarity, 0.9) is Verdict.SAME_MEANING) == (
        judge(two, one, similarity, 0.9) is Verdict.SAME_MEANING
    )


@given(st.text())
@seeded
def test_a_text_means_the_same_as_itself(text: str) -> None:
    assert judge(text, text, 1.0, 0.9) is Verdict.SAME_MEANING
