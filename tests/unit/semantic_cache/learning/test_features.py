import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.learning.features import NAMES, SIZE, Near, row, votes
from services.semantic_cache.learning.wording import dice, wording
from tests.unit.semantic_cache.learning.worlds import entry, group
from tests.unit.semantic_cache.properties import seeded


def near(number: int, answer: int, similarity: float, text: str = "how do i reset my password") -> Near:
    return Near(entry(number), group(answer), similarity, wording(text))


def value(features: np.ndarray, name: str) -> float:
    return float(features[NAMES.index(name)])


def test_other_answers_nearby_speak_against_a_candidate() -> None:
    question = wording("how to reset a password")
    agreed = [near(0, 1, 0.9), near(1, 1, 0.85), near(2, 1, 0.8)]
    disputed = [near(0, 1, 0.9), near(1, 2, 0.88), near(2, 3, 0.86)]
    one, other = row(question, agreed[0], agreed, 0, False), row(question, disputed[0], disputed, 0, False)
    for name in ("margin", "vote", "wide_vote", "share", "contrast"):
        assert value(one, name) > value(other, name)
    assert value(one, "answers") == 0
    assert value(other, "answers") > 0
    assert value(one, "similarity") == value(other, "similarity") == pytest.approx(0.9)


def test_shared_words_are_seen() -> None:
    question = wording("How do I reset my password?")
    same = near(0, 1, 0.9, "how do I reset the passwords")
    other = near(0, 1, 0.9, "how do I change an address")
    one, two = row(question, same, [same], 0, False), row(question, other, [other], 0, False)
    for name in ("letters", "words", "content", "covered"):
        assert value(one, name) > value(two, name)
    assert value(one, "additions") < value(two, "additions")


def test_the_nearest_groups_vote_most_unless_they_are_distrusted() -> None:
    neighbours = [near(0, 1, 0.9), near(1, 2, 0.89), near(2, 2, 0.7)]
    assert next(iter(votes(neighbours, lambda _: 1.0))) == group(1)
    assert next(iter(votes(neighbours, lambda each: 0.1 if each == group(1) else 1.0))) == group(2)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-1, 1), st.text(max_size=20)), min_size=1, max_size=16), st.text()
)
@seeded
def test_features_are_always_finite(neighbours: list[tuple[int, float, str]], question: str) -> None:
    nears = [near(number, *each) for number, each in enumerate(sorted(neighbours, key=lambda each: -each[1]))]
    for candidate in nears:
        features = row(wording(question), candidate, nears, 0.5, True)
        assert len(features) == SIZE
        assert np.isfinite(features).all()
        assert np.isfinite(features.astype(np.float16)).all()


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
@seeded
def test_dice_is_a_share(one: set[str], other: set[str]) -> None:
    assert 0 <= dice(one, other) <= 1
    assert dice(one, other) == dice(other, one)
    assert dice(one, one) == 1


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("Is 7 a prime?", True),
        ("does it rain", True),
        ("Can you set a timer", False),
        ("What is a prime?", False),
        ("", False),
    ],
)
def test_questions_for_yes_or_no(text: str, closed: bool) -> None:
    assert wording(text).closed is closed
