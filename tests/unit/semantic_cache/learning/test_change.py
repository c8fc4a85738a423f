import pytest

from libs.core.rng import new_rng
from services.semantic_cache.learning.change import ChangeDetector


@pytest.mark.parametrize("seed", range(5))
def test_a_steady_world_raises_hardly_an_alarm(seed: int) -> None:
    detector, rng = ChangeDetector(), new_rng(seed)
    alarms = 0
    for _ in range(2_000):
        p_wrong = rng.random() ** 3
        alarms += detector.observe(rng.random() < p_wrong, p_wrong)
    assert alarms <= 2


@pytest.mark.parametrize("seed", range(5))
def test_half_the_answers_turning_wrong_is_noticed_within_forty_outcomes(seed: int) -> None:
    detector, rng = ChangeDetector(), new_rng(seed)
    for _ in range(300):
        p_wrong = rng.random() ** 3
        detector.observe(rng.random() < p_wrong, p_wrong)
    noticed = []
    for number in range(40):
        p_wrong = rng.random() ** 3
        if detector.observe(rng.random() < 0.5 + 0.5 * p_wrong, p_wrong):
            noticed.append((number, detector.run))
            break
    # What it takes for the time of the change is about right.
    assert noticed
    assert abs(noticed[0][0] - noticed[0][1]) <= 30


def test_suspicion_grows_before_the_alarm() -> None:
    detector = ChangeDetector()
    assert detector.suspicion == 0
    assert not detector.observe(True, 0.01)
    assert 0.3 < detector.suspicion < 1
    assert not detector.observe(True, 0.01)
    assert 0.6 < detector.suspicion < 1
    assert detector.observe(True, 0.01)
    assert detector.suspicion == 0
    assert repr(detector) == "ChangeDetector(suspicion=0.00)"
