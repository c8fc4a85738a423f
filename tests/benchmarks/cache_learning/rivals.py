"""What other caches do: a fixed threshold, and vCache's threshold for every entry."""

from collections import defaultdict
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from libs.core.rng import Rng
from tests.benchmarks.cache_learning.stream import Fate, Kept, Question


class StaticCache:
    """Serves the nearest entry's answer if it is similar enough, as GPTCache and RedisVL do.

    Args:
        dimension: of the vectors.
        threshold: the least cosine that is served.
    """

    def __init__(self, dimension: int, threshold: float) -> None:
        self._kept: Final = Kept(dimension)
        self._threshold: Final = threshold

    def ask(self, question: Question) -> Fate:
        """Serve the question or keep its fresh answer."""
        nearest = self._kept.nearest(question, 1)
        if nearest and nearest[0].similarity >= self._threshold:
            right = self._kept.behind(nearest[0].entry).answer == question.answer
            return Fate.RIGHT if right else Fate.WRONG
        self._kept.keep(question)
        return Fate.MISSED


# An entry explores until it has seen this many questions; its curve begins with a wrong one at 0 and a right one at 1.
_LEAST_SEEN: Final = 6
_ANCHORS: Final = ((0.0, 0.0), (1.0, 1.0))
_CHANCES: Final = np.linspace(1e-6, 1 - 1e-6, 50)
_QUANTILES: Final = np.array([NormalDist().inv_cdf(1 - chance) for chance in _CHANCES])
# Its table for entries whose right and wrong questions are separable is close to this over their number.
_SEPARABLE_VARIANCE: Final = 0.2
_RIDGE: Final = 1e-6
_STEPS: Final = 30


class VCache:
    """vCache's rule (Schroeder et al. 2025, arXiv 2502.03771, algorithm 1, and its code in vcache_policy/verified.py).

    Every entry has a logistic curve P(right | similarity) = 1 / (1 + exp(-gamma (s - t))) fitted to the questions that
    came nearest to it. With t' at confidence 1 - e above the fitted t, exploring with probability
    `tau = min over e of 1 - delta / (1 - (1 - e) P(right | s, t'))` keeps P(served and wrong) <= delta.

    Args:
        dimension: of the vectors.
        delta: its bound, over all requests.
        rng: draws what is explored.
    """

    def __init__(self, dimension: int, delta: float, rng: Rng) -> None:
        self._kept: Final = Kept(dimension)
        self._delta: Final = delta
        self._rng: Final = rng
        self._seen: defaultdict[bytes, list[tuple[float, float]]] = defaultdict(lambda: list(_ANCHORS))

    def ask(self, question: Question) -> Fate:
        """Serve the question or keep its fresh answer."""
        nearest = self._kept.nearest(question, 1)
        if not nearest:
            self._kept.keep(question)
            return Fate.MISSED
        entry, similarity = nearest[0].entry, nearest[0].similarity
        right = self._kept.behind(entry).answer == question.answer
        if self._rng.random() > self._exploring(entry, similarity):
            return Fate.RIGHT if right else Fate.WRONG
        self._seen[entry].append((similarity, float(right)))
        if not right:
            self._kept.keep(question)
        return Fate.MISSED

    def _exploring(self, entry: bytes, similarity: float) -> float:
        seen = np.array(self._seen[entry])
        if len(seen) < _LEAST_SEEN:
            return 1.0
        middle, slope, variance = _curve(seen[:, 0], seen[:, 1])
        cautious = np.clip(middle + _QUANTILES * np.sqrt(variance), 0.0, 1.0)
        right = (1 - _CHANCES) / (1 + np.exp(-np.clip(slope * (similarity - cautious), -50, 50)))
        return float(np.min(1 - self._delta / (1 - right)))


def _curve(similarities: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[float, float, float]:
    """Middle t, slope gamma and the variance of t."""
    lines = np.column_stack((np.ones(len(similarities)), similarities))
    weights = np.zeros(2)
    curvature = np.eye(2)
    for _ in range(_STEPS):
        believed = 1 / (1 + np.exp(-np.clip(lines @ weights, -50, 50)))
        curvature = (lines * (believed * (1 - believed))[:, np.newaxis]).T @ lines + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, lines.T @ (right - believed) - _RIDGE * weights)
        weights = weights + step
        if np.max(np.abs(step)) < 1e-6 * (1 + np.max(np.abs(weights))):
            break
    slope = max(float(weights[1]), 1e-6)
    middle = min(max(-float(weights[0]) / slope, 0.0), 1.0)
    if np.min(similarities[right == 1]) > np.max(similarities[right == 0]):
        return middle, slope, _SEPARABLE_VARIANCE / len(similarities)
    gradient = np.array((-1 / slope, float(weights[0]) / slope**2))
    return middle, slope, max(0.0, float(gradient @ np.linalg.solve(curvature, gradient)))
