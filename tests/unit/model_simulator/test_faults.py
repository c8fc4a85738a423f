import pytest

from libs.core.rng import new_rng
from services.model_simulator.errors import ApiError
from services.model_simulator.faults import MAX_FAULTS, Fault, FaultKind, Faults, parse_fault

HANG = Fault(FaultKind.HANG)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "kind: must be one of status, slow_first_token"),
        ({"kind": "explode"}, "kind: "),
        ({"kind": "status", "status": 418}, "status: must be one of 400"),
        ({"kind": "status", "status": "529"}, "status: must be an integer"),
        ({"kind": "hang", "seconds": -1}, "seconds: must be between 0 and"),
        ({"kind": "hang", "probability": 1.5}, "probability: must be between 0 and 1"),
        ({"kind": "hang", "count": 0}, "count: must be between 1 and"),
        ({"kind": "cut_stream", "after_tokens": 1.5}, "after_tokens: must be an integer"),
        ({"kind": "hang", "model": 5}, "model: must be a string"),
        ({"kind": "hang", "often": 1}, "often: unknown field"),
    ],
)
def test_names_what_is_wrong(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ApiError) as error:
        parse_fault(fields)
    assert message in error.value.message


def test_defaults_suit_the_kind() -> None:
    assert parse_fault({"kind": "slow_first_token"}).seconds == 5
    assert parse_fault({"kind": "status"}).status == 529
    assert parse_fault({"kind": "cut_stream", "after_tokens": 2}) == Fault(FaultKind.CUT_STREAM, after_tokens=2)


def test_a_count_runs_out_and_the_next_order_takes_over() -> None:
    faults = Faults(new_rng(1))
    twice = Fault(FaultKind.STATUS, count=2)
    faults.add(twice)
    faults.add(HANG)
    assert [faults.pick("m") for _ in range(4)] == [twice, twice, HANG, HANG]
    assert [order["fired"] for order in faults.snapshot()] == [2]


def test_a_fault_for_one_model_spares_the_others() -> None:
    faults = Faults(new_rng(1))
    faults.add(Fault(FaultKind.HANG, model="claude-opus-5"))
    assert faults.pick("claude-haiku-4-5") is None
    assert faults.pick("claude-opus-5") is not None


def test_a_probability_hits_about_that_share() -> None:
    faults = Faults(new_rng(7))
    faults.add(Fault(FaultKind.HANG, probability=0.25))
    hits = sum(faults.pick("m") is not None for _ in range(4000))
    # The standard deviation is 27; five of them on either side.
    assert 865 <= hits <= 1135


def test_orders_are_bounded_and_can_be_withdrawn() -> None:
    faults = Faults(new_rng(1))
    for _ in range(MAX_FAULTS):
        faults.add(HANG)
    with pytest.raises(ApiError, match="in force already"):
        faults.add(HANG)
    assert faults.clear() == MAX_FAULTS
    assert faults.pick("m") is None
