import numpy as np
import pytest

from services.semantic_cache.learning.calibration import Calibration, Experience, calibrated, uncalibrated
from services.semantic_cache.learning.features import NAMES, SIZE
from services.semantic_cache.learning.model import CAUTIOUS, Floats, design, fitted


def likeness(count: int, seed: int = 1) -> tuple[np.ndarray, Floats]:
    """Rows that differ in similarity alone, from 0.5 to 1."""
    rng = np.random.default_rng(seed)
    rows = np.full((count, SIZE), 0.5, np.float32)
    similarity = rng.uniform(0.5, 1.0, count)
    rows[:, NAMES.index("similarity")] = similarity
    return rows, similarity


def curve(similarity: Floats, lapse: float = 0.0) -> Floats:
    return lapse + (1 - lapse) / (1 + np.exp(20 * (similarity - 0.7)))


def experience(count: int, lapse: float = 0.0, believed: float | None = None) -> Experience:
    rows, similarity = likeness(count)
    true = curve(similarity, lapse)
    wrong = (np.random.default_rng(2).random(count) < true).astype(float)
    ones = np.ones(count)
    predicted = true if believed is None else np.full(count, believed)
    return Experience(rows, wrong, ones, ones, predicted, np.zeros(count))


def test_it_finds_the_curve() -> None:
    learned = experience(6_000)
    model = fitted(design(learned.rows), learned.wrong, learned.counts, CAUTIOUS)
    rows, similarity = likeness(500, seed=3)
    found, true = model.probabilities(design(rows)), curve(similarity)
    assert np.max(np.abs(found - true)) < 0.1
    assert np.mean(np.abs(found - true)) < 0.03


@pytest.mark.parametrize("lapse", [0.0, 0.05])
def test_it_finds_what_no_feature_explains(lapse: float) -> None:
    learned = experience(8_000, lapse)
    model = CAUTIOUS
    for _ in range(5):
        model = fitted(design(learned.rows), learned.wrong, learned.counts, model)
    best = design(likeness(1)[0])
    best[:] = design(np.where(np.array(NAMES) == "similarity", 1.0, 0.5)[np.newaxis, :].astype(np.float32))
    assert model.probabilities(best)[0] == pytest.approx(lapse, abs=0.02)


def test_the_share_below_the_threshold_is_within_alpha() -> None:
    learned = experience(6_000)
    calibration = calibrated(learned, CAUTIOUS)
    similarity = learned.rows[:, NAMES.index("similarity")].astype(np.float64)
    risks = calibration.model.probabilities(design(learned.rows))
    for alpha in (0.05, 0.1, 0.2):
        served = risks <= calibration.threshold(alpha)
        assert np.mean(served) > 0.05
        assert np.mean(curve(similarity[served])) <= alpha


def test_more_wrong_answers_than_predicted_make_it_cautious() -> None:
    def among(observed: int) -> Calibration:
        wrong = np.zeros(1_000)
        wrong[:observed] = 1
        ones, risks = np.ones(1_000), np.full(1_000, 0.01)
        shares = np.linspace(0.001, 0.02, 1_000)
        return Calibration(CAUTIOUS, shares, shares, np.arange(1.0, 1_001.0), risks, wrong, ones)

    assert among(10).excess(0.02) < 1.5
    assert among(40).excess(0.02) > 2.5
    assert among(40).threshold(0.02) < among(10).threshold(0.02)


def test_outcomes_that_stand_for_nothing_are_left_out() -> None:
    learned = experience(500)
    nothing = Experience(learned.rows, learned.wrong, np.zeros(500), learned.blame, learned.p_wrong, learned.stale)
    assert calibrated(nothing, CAUTIOUS).threshold(0.05) == 0
    assert uncalibrated().threshold(0.5) == 0
