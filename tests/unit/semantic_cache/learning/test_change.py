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
    suspicions = []
    while not detector.observe(True, 0.01):
        suspicions.append(detector.suspicion)
    assert suspicions == sorted(suspicions)
    assert suspicions[1] > 0.6
    assert 2 <= len(suspicions) <= 3
    assert detector.suspicion == 0
    assert repr(detector) == "ChangeDetector(suspicion=0.00)"


def test_a_few_rare_surprises_among_what_is_right_are_no_alarm() -> None:
    """One in fifty was to be expected of beliefs of 2%, and so are two that come together."""
    detector = ChangeDetector()
    for number in range(5_000):
        assert not detector.observe(number % 100 < 2, 0.02)
