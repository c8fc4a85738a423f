import math
import tracemalloc

import pytest

from libs.core.rng import new_rng
from services.semantic_cache.learning.calibration import calibrated
from services.semantic_cache.learning.choice import Kind, LearnerOptions
from services.semantic_cache.learning.learner import Learner
from services.semantic_cache.learning.outcome import Outcome, Source
from tests.unit.semantic_cache.learning.worlds import World, entry, features_of, group, learner, live


def outcome(source: Source, wrong: bool, propensity: float, number: int = 1) -> Outcome:
    fresh = None if wrong else group(number)
    row = features_of(0.9, new_rng(number))
    return Outcome(source, 0.0, entry(number), group(number), fresh, row, 0.01, 0.01, propensity)


@pytest.mark.parametrize("alpha", [math.nan, 0.0, -0.1, 0.51, 1.0, math.inf])
def test_an_alpha_that_bounds_nothing_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        learner(1).decide(entry(1), group(1), features_of(0.9, new_rng(1)), alpha)


def test_a_new_tenant_is_served_nothing_before_outcomes_speak_for_it() -> None:
    ours, rng = learner(1), new_rng(1)
    assert ours.decide(entry(1), group(1), features_of(1.2, rng), 0.02).kind is Kind.MISS
    live(ours, World(), 1_200, 0.05, rng)
    alike = [ours.decide(entry(1), group(1), features_of(1.2, rng), 0.05).kind for _ in range(50)]
    assert Kind.MISS not in alike
    assert ours.decide(entry(1), group(1), features_of(0.3, rng), 0.05).kind is Kind.MISS


def test_a_stricter_alpha_serves_less() -> None:
    ours, rng = learner(1), new_rng(2)
    live(ours, World(), 1_000, 0.05, rng)
    thresholds = [ours.threshold(alpha) for alpha in (0.005, 0.01, 0.02, 0.05, 0.1)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


def test_replicas_that_read_the_same_log_decide_alike() -> None:
    rng, one, other = new_rng(3), learner(1), learner(1)
    log = [outcome(Source.MISS, rng.random() < 0.3, 1.0, number) for number in range(300)]
    for each in log:
        one.observe(each)
    for each in log:
        other.observe(each)
    for ours in (one, other):
        ours.install(calibrated(ours.experience(), ours.calibration.model))
    row = features_of(0.7, new_rng(9))
    assert one.decide(entry(1), group(1), row, 0.02) == other.decide(entry(1), group(1), row, 0.02)


def test_a_complaint_takes_the_entry_out_and_leaves_the_others() -> None:
    ours, rng = learner(1), new_rng(4)
    live(ours, World(), 1_200, 0.05, rng)
    remembered = ours.statistics().remembered
    row = features_of(1.2, rng)
    assert ours.decide(entry(1), group(1), row, 0.05).kind is not Kind.MISS
    for _ in range(3):
        ours.observe(outcome(Source.FEEDBACK, wrong=True, propensity=1.0))
    assert ours.decide(entry(1), group(1), row, 0.05).kind is Kind.MISS
    assert ours.decide(entry(2), group(2), row, 0.05).kind is not Kind.MISS
    assert ours.statistics().remembered == remembered


def test_a_change_asks_for_a_calibration_at_once_even_while_one_is_made() -> None:
    ours = learner(1)
    for number in range(300):
        ours.observe(outcome(Source.MISS, False, 1.0, number))
    experience = ours.experience()
    while not ours.statistics().changes:
        ours.observe(outcome(Source.AUDIT, True, 0.05))
    ours.install(calibrated(experience, ours.calibration.model))
    assert ours.due()
    ours.install(calibrated(ours.experience(), ours.calibration.model))
    assert not ours.due()


def test_memory_is_bounded() -> None:
    ours = Learner(new_rng(1), LearnerOptions(window=50))
    for number in range(200):
        ours.observe(outcome(Source.MISS, number % 2 == 0, 1.0, number))
    assert len(ours.experience().rows) == 50
    assert ours.statistics()[:2] == (200, 50)
    assert repr(ours).startswith("Learner(50 of 200 outcomes")


def test_a_calibration_without_outcomes_changes_nothing() -> None:
    ours = learner(1)
    before = ours.threshold(0.02)
    ours.install(calibrated(ours.experience(), ours.calibration.model))
    assert ours.threshold(0.02) == pytest.approx(before)


def test_the_estimate_covers_what_was_served() -> None:
    ours, rng = learner(5), new_rng(5)
    live(ours, World(), 1_500, 0.05, rng)
    course = live(ours, World(), 3_000, 0.05, rng)
    told = ours.wrong_share()
    assert told.audits > 30
    assert told.low <= course.share <= told.high


def test_an_estimate_needs_audits() -> None:
    ours = learner(1)
    ours.observe(outcome(Source.MISS, True, 1.0))
    ours.observe(outcome(Source.FEEDBACK, True, 1.0))
    assert ours.wrong_share() == (None, 0.0, 1.0, 0)


def test_rare_audits_stand_for_more() -> None:
    ours = learner(1)
    ours.observe(outcome(Source.AUDIT, True, 0.5))
    ours.observe(outcome(Source.AUDIT, False, 0.02))
    told = ours.wrong_share()
    assert told.share == pytest.approx(1 / 50)
    assert told.low <= 1 / 50 <= told.high


def test_complaints_neither_age_what_is_known_nor_ask_for_a_calibration() -> None:
    ours, rng = learner(6), new_rng(6)
    live(ours, World(), 800, 0.05, rng)
    ours.install(calibrated(ours.experience(), ours.calibration.model))
    before, outcomes = ours.experience().counts, ours.statistics().outcomes
    for number in range(500):
        ours.observe(outcome(Source.FEEDBACK, True, 1.0, 10_000 + number))
    assert not ours.due()
    assert ours.statistics().outcomes == outcomes
    assert ours.experience().counts == pytest.approx(before)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_false_alarm_is_recovered_from_even_where_every_answer_is_asked_for_once(seed: int) -> None:
    """Nobody ever confirms the group of a candidate that is never seen again: only others of its kind can."""
    ours, rng, alpha = learner(seed), new_rng(500 + seed), 0.05
    live(ours, World(), 1_500, alpha, rng, answers=1_000_000)
    before = live(ours, World(), 1_500, alpha, rng, answers=1_000_000)
    alarms = ours.statistics().changes
    while ours.statistics().changes == alarms:
        ours.observe(outcome(Source.AUDIT, True, 0.05, rng.randrange(10_000_000, 20_000_000)))
    live(ours, World(), 1_000, alpha, rng, answers=1_000_000)
    after = live(ours, World(), 1_500, alpha, rng, answers=1_000_000)
    assert after.served >= 0.6 * before.served
    assert after.share <= alpha + 2 * math.sqrt(alpha / after.served)


def test_a_steady_world_of_rare_answers_hardly_raises_an_alarm() -> None:
    alarms = 0
    for seed in range(3):
        ours, rng = learner(seed), new_rng(600 + seed)
        live(ours, World(), 2_500, 0.05, rng, answers=1_000_000)
        alarms += ours.statistics().changes
    assert alarms <= 1


def test_a_learner_takes_little_memory() -> None:
    """A process holds a thousand of them."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    ours = learner(1)
    for number in range(8_000):
        ours.observe(outcome(Source.MISS, number % 3 == 0, 1.0, number))
    ours.install(calibrated(ours.experience(), ours.calibration.model))
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < 1_600_000


@pytest.mark.parametrize(
    "wrong", [{"window": 0}, {"least_audits": 0.0}, {"least_audits": 0.6}, {"most_audits": 1.1}, {"half_life": 0.0}]
)
def test_options_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        LearnerOptions(**wrong)  # type: ignore[arg-type]  # window is a whole number
