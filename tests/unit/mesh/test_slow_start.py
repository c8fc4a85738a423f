import pytest

from libs.core.rng import new_rng
from libs.mesh.load.slow_start import SlowStart, SlowStartOptions


def ramps(options: SlowStartOptions, *seconds: float) -> list[float]:
    start = SlowStart(options, new_rng(1))
    start.begin(1000.0)
    return [start.ramp(1000.0 + after) for after in seconds]


def test_grows_linearly_from_the_minimum() -> None:
    assert ramps(SlowStartOptions(), 0.0, 3.0, 15.0, 27.0, 30.0, 1e6) == pytest.approx([0.1, 0.1, 0.5, 0.9, 1.0, 1.0])


def test_aggression_bends_the_ramp() -> None:
    assert ramps(SlowStartOptions(aggression=2.0), 7.5) == pytest.approx([0.5])
    assert ramps(SlowStartOptions(aggression=0.5), 15.0) == pytest.approx([0.25])


def test_an_endpoint_that_never_began_has_its_whole_share() -> None:
    assert SlowStart(SlowStartOptions(), new_rng(1)).ramp(0.0) == 1.0


def test_begins_again() -> None:
    start = SlowStart(SlowStartOptions(window=10.0), new_rng(1))
    start.begin(0.0)
    assert start.ramp(10.0) == 1.0
    start.begin(20.0)
    assert start.ramp(25.0) == pytest.approx(0.5)
    assert repr(start) == "<SlowStart from 20.000 to 30.000>"


def test_no_window_no_ramp() -> None:
    assert ramps(SlowStartOptions(window=0.0), 0.0) == [1.0]


def test_a_clock_reading_from_before_is_the_minimum() -> None:
    assert ramps(SlowStartOptions(), -1.0) == [0.1]


@pytest.mark.parametrize("fields", [{"window": -1.0}, {"aggression": 0.0}, {"min_weight": 0.0}, {"min_weight": 1.5}])
def test_refuses_senseless_options(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(fields))} must"):
        SlowStartOptions(**fields)
