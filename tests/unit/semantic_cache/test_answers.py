import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.answers import centre, chunks, mean_the_same, read_alike
from services.semantic_cache.entry import answer_group
from tests.unit.semantic_cache.fakes import vector_of
from tests.unit.semantic_cache.properties import seeded


def test_case_and_space_make_no_difference() -> None:
    assert read_alike("Press  the RED button.\n", "press the red button.")
    assert not read_alike("Press the red button.", "Press the green button.")


def test_answers_that_read_alike_are_of_one_group() -> None:
    assert answer_group("Yes,  it does") == answer_group("yes, it does ")
    assert answer_group("yes") != answer_group("no")
    assert len(answer_group("")) == 8


@given(st.text(max_size=6_000))
@seeded
def test_chunks_are_the_beginning_in_pieces_that_a_model_reads_whole(answer: str) -> None:
    pieces = chunks(answer)
    assert pieces
    assert all(len(piece) <= 800 for piece in pieces) or not answer.strip()
    assert len(pieces) <= 6 or not answer.strip()
    if len(answer) <= 800:
        assert pieces == [answer]


def test_a_very_long_answer_costs_no_more_than_its_beginning() -> None:
    assert chunks("x" * 1_000_000) == ["x" * 800] * 6


def test_the_centre_of_vectors_is_a_unit_vector_between_them() -> None:
    one, other = vector_of("red button"), vector_of("green harbour")
    middle = centre([one, other])
    assert np.linalg.norm(middle) == pytest.approx(1.0)
    assert float(middle @ one) == pytest.approx(float(middle @ other), abs=1e-6)


def test_opposite_vectors_have_no_centre_but_do_no_harm() -> None:
    vector = vector_of("red button")
    assert np.isfinite(centre([vector, -vector])).all()


@pytest.mark.parametrize(
    ("one", "other", "similarity", "same"),
    [
        ("It costs a lot.", "It is expensive.", 0.9, True),
        ("It costs a lot.", "It is expensive.", 0.8, False),
        ("It costs 5 euros.", "The price is 5 euros, as everybody knows.", 0.95, True),
        ("It costs 5 euros.", "The price is 6 euros, as everybody knows.", 0.99, False),
        ("Call 112.", "It is best to call someone at once.", 0.95, False),
        ("It opens at 9:30.", "The doors open at 9:30 or at 10:00.", 0.95, True),
        ("It opens at 9:30.", "The doors open at 9 or at 30.", 0.95, False),
        ("x", "x", float("nan"), False),
        ("Yes, it is safe to take both.", "No, it is not safe to take both.", 0.985, False),
        ("Yes. Take both together.", "No. Take them hours apart.", 0.9, False),
        ("Turn the valve to the left to open it.", "Turn the valve to the right to open it.", 0.99, False),
        ("Your card is covered abroad.", "Your card is not covered abroad.", 0.95, False),
        ("You can pay by card. There is no fee.", "Paying by card is possible. It is free.", 0.9, True),
    ],
)
def test_near_answers_say_the_same_unless_a_number_is_missing(
    one: str, other: str, similarity: float, same: bool
) -> None:
    assert mean_the_same(one, other, similarity, 0.85) is same
    assert mean_the_same(other, one, similarity, 0.85) is same
