import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.learning.staleness import Staleness
from tests.unit.semantic_cache.learning.worlds import entry, group
from tests.unit.semantic_cache.properties import seeded

OURS, THEIRS = group(1), group(2)


def test_nobody_is_suspected_without_a_reason() -> None:
    assert Staleness().of_group(OURS) < 0.002
    assert Staleness().of_entry(entry(1)) < 0.002


def test_being_wrong_where_the_model_was_sure_weighs_much() -> None:
    sure, unsure = Staleness(), Staleness()
    for _ in range(3):
        sure.observe(entry(1), OURS, THEIRS, p_model=0.01)
        unsure.observe(entry(1), OURS, THEIRS, p_model=0.6)
    assert sure.of_entry(entry(1)) > 0.5
    assert unsure.of_entry(entry(1)) < 0.05


def test_a_bad_entry_does_not_discredit_its_group_for_good() -> None:
    staleness = Staleness()
    for _ in range(4):
        staleness.observe(entry(1), OURS, THEIRS, p_model=0.01)
        for other in range(2, 8):
            staleness.observe(entry(other), OURS, OURS, p_model=0.01)
    assert staleness.of_entry(entry(1)) > 5 * staleness.of_entry(entry(2))
    assert staleness.of_group(OURS) < 0.1


def test_after_a_change_an_answer_must_be_confirmed() -> None:
    staleness = Staleness()
    staleness.observe(entry(1), OURS, OURS, p_model=0.01)
    staleness.change()
    assert staleness.of_group(OURS) > 0.2
    assert staleness.of_group(THEIRS) > 0.2
    for _ in range(4):
        staleness.observe(entry(1), OURS, OURS, p_model=0.01)
    assert staleness.of_group(OURS) < 0.02


def test_a_fresh_answer_is_trusted_although_the_world_changed() -> None:
    staleness = Staleness()
    staleness.change()
    before = staleness.of_group(THEIRS)
    staleness.observe(entry(1), OURS, THEIRS, p_model=0.01)
    assert staleness.of_group(THEIRS) < before / 2
    assert staleness.of_group(OURS) > 0.8


def test_a_complaint_counts_although_the_right_answer_is_unknown() -> None:
    staleness = Staleness()
    for _ in range(3):
        staleness.observe(entry(1), OURS, None, p_model=0.01)
    assert staleness.of_entry(entry(1)) > 0.5


def test_a_group_that_was_first_seen_after_the_change_is_not_doubted() -> None:
    staleness = Staleness()
    staleness.change()
    staleness.observe(entry(1), OURS, THEIRS, p_model=0.5)
    assert staleness.of_group(THEIRS) < 0.002


def test_doubt_fades_as_others_turn_out_right() -> None:
    staleness = Staleness()
    staleness.observe(entry(1), OURS, OURS, p_model=0.01)
    staleness.change()
    staleness.observe(entry(2), THEIRS, THEIRS, p_model=0.01)
    doubted, begun, confirmed = [], staleness.of_group(THEIRS), []
    for number in range(3, 400):
        staleness.observe(entry(number), group(number), group(number), p_model=0.01)
        doubted.append(staleness.of_group(OURS))
        confirmed.append(staleness.of_group(THEIRS))
    assert doubted[0] > 0.1
    assert doubted[-1] < 0.01
    assert doubted == sorted(doubted, reverse=True)
    # One outcome of its own and the others' together.
    assert confirmed[-1] < begun / 10
    assert confirmed[-1] < 0.001


def test_doubt_stays_where_others_turn_out_wrong() -> None:
    staleness = Staleness()
    staleness.observe(entry(1), OURS, OURS, p_model=0.01)
    staleness.change()
    for number in range(3, 300):
        fresh = group(number if number % 2 else 1_000 + number)
        staleness.observe(entry(number), group(number), fresh, p_model=0.01)
    assert staleness.of_group(OURS) > 0.25


def test_its_own_wrong_outcomes_outweigh_what_others_show() -> None:
    staleness = Staleness()
    staleness.change()
    for _ in range(3):
        staleness.observe(entry(1), OURS, THEIRS, p_model=0.01)
    for number in range(3, 300):
        staleness.observe(entry(number), group(number), group(number), p_model=0.01)
    assert staleness.of_group(OURS) > 0.5


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.floats(0, 1), st.booleans()), max_size=200))
@seeded
def test_beliefs_stay_probabilities_and_never_certain(steps: list[tuple[int, bool, float, bool]]) -> None:
    staleness = Staleness(capacity=5)
    for number, right, p_model, change in steps:
        if change:
            staleness.change()
        staleness.observe(entry(number), group(number), group(number) if right else None, p_model)
        assert 0 < staleness.of_group(group(number)) < 1
        assert 0 < staleness.of_entry(entry(number)) < 1
    assert repr(staleness).startswith("Staleness(")


def test_it_forgets_those_longest_untouched() -> None:
    staleness = Staleness(capacity=4)
    for number in (1, 2, 3):
        for _ in range(3):
            staleness.observe(entry(number), group(number), None, p_model=0.01)
    assert staleness.of_entry(entry(1)) < 0.002
    assert staleness.of_entry(entry(3)) > 0.5


def test_room_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Staleness(capacity=0)
