"""What may not be served in place of another answer, and what may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.guards import Guard, refuse
from tests.unit.semantic_cache.guards.edits import EDITS, PARAPHRASES
from tests.unit.semantic_cache.properties import seeded

# Of true rephrasings so many must pass: a guard that refuses all is of no use.
_LEAST_PASSING = 0.85
_PAIRS = [(kind, *pair) for kind, pairs in EDITS.items() for pair in pairs]
# Longer than any text that is compared by meaning.
_LONG = 3000
_VOCABULARY = """
who what when how many is the a my your not never without from to by than and or five 5 -3 10% $20
km miles hundred million first second boston denver savings checking monday tomorrow today open
close unlock lock ' " ` + - = ? . ! caf\u00e9 stra\u00dfe \u5317\u4eac C++ i'm don't world's
\u0130stanbul money send Anna Ben owes
"""
_WORDS = st.sampled_from(_VOCABULARY.split())
_TEXTS = st.one_of(st.text(max_size=80), st.lists(_WORDS, max_size=14).map(" ".join))


def _written_anew(text: str) -> list[str]:
    """The ways in which chat users write it."""
    bare = text.rstrip("?.")
    return [text, bare, text.lower(), bare.lower(), f"please, {bare}", f"  {text} "]


@pytest.mark.parametrize(("kind", "one", "other"), _PAIRS)
def test_a_minimal_edit_is_never_served(kind: str, one: str, other: str) -> None:
    for first, second in zip(_written_anew(one), _written_anew(other), strict=True):
        assert refuse(first, second) is not None, (kind, first)
        assert refuse(second, first) is not None, (kind, second)


def test_there_are_edits_of_every_kind() -> None:
    assert len(_PAIRS) >= 300
    assert len(set(_PAIRS)) == len(_PAIRS)
    assert {"number", "unit", "negation", "entity", "direction", "antonym", "currency", "date"} <= EDITS.keys()


def test_most_rephrasings_pass() -> None:
    refused = [pair for pair in PARAPHRASES if refuse(*pair) is not None]
    assert len(PARAPHRASES) >= 150
    assert 1 - len(refused) / len(PARAPHRASES) >= _LEAST_PASSING, refused


@pytest.mark.parametrize(
    ("question", "candidate", "reason"),
    [
        ("What is 17 times 3?", "What is 17 times 4?", Guard.NUMBERS),
        ("Is it safe?", "Is it not safe?", Guard.NEGATION),
        ("Run 5 km", "Run 5 miles", Guard.UNITS),
        ("How do I enable alerts?", "How do I disable alerts?", Guard.OPPOSITES),
        ("Open on mondays?", "Open on tuesdays?", Guard.CALENDAR),
        ("Is x < y here?", "Is x > y here?", Guard.SYMBOLS),
        ('What does "carpe diem" mean?', 'What does "carpe noctem" mean?', Guard.QUOTES),
        ("flights to boston", "flights to denver", Guard.NAMES),
        ("my card limit", "my account limit", Guard.SUBJECTS),
        ("Flights from Rome to Oslo", "Flights from Oslo to Rome", Guard.DIRECTION),
        ("When was it found?", "Where was it found?", Guard.QUESTION_TYPE),
        ("Who is the president?", "Who was the president?", Guard.TENSE),
        ("What is my name?", "What is your name?", Guard.PERSON),
        ("Which route is fast?", "Which route is too fast?", Guard.EXTENT),
        ("My name is Anna, greet me", "My name is Anne, greet me", Guard.SPEAKER),
    ],
)
def test_it_says_why(question: str, candidate: str, reason: Guard) -> None:
    assert refuse(question, candidate) is reason
    assert refuse(candidate, question) is reason


@given(_TEXTS, _TEXTS)
@seeded
def test_it_does_not_matter_which_was_asked_first(one: str, other: str) -> None:
    assert (refuse(one, other) is None) == (refuse(other, one) is None)


@given(_TEXTS)
@seeded
def test_a_text_means_the_same_as_itself(text: str) -> None:
    assert refuse(text, text) in (None, Guard.SPEAKER)
    assert refuse(text, text + " ") in (None, Guard.SPEAKER)


@pytest.mark.parametrize(
    "hostile",
    [
        "\u00ab" * _LONG,
        "'a " * _LONG,
        "1=" + " " * _LONG + "x",
        "hundred " * _LONG,
        "5 " + "million " * _LONG,
        "is my dog is. " * _LONG,
        "9" * _LONG,
        "x " * _LONG + "+" * _LONG,
        " ".join(f"w{chr(97 + place % 26)}{chr(97 + place // 26 % 26)}" for place in range(_LONG)),
        "\x00\ud800\u0130",
    ],
)
def test_a_hostile_text_is_read(hostile: str) -> None:
    assert refuse(hostile, "What is the capital of France?") in {*Guard, None}
    assert refuse("What is the capital of France?", hostile) in {*Guard, None}
