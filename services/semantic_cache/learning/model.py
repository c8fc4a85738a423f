"""P(wrong) from a candidate's features: logistic regression with a prior that is cautious until outcomes say better.

    P(wrong | x) = lapse + (1 - lapse) / (1 + exp(-w . phi(x)))

`phi` is the scaled features, the squares and products of the strongest and a constant. The lapse is what is wrong for
no reason that a feature shows: a model that sometimes answers the same question otherwise. Without it a logistic curve
promises ever less risk the more alike two questions are. Lapse and weights are the most probable ones under a beta and
independent Gaussian priors, found in turn by expectation maximisation (Dempster, Laird and Rubin 1977) and by Newton's
method with step halving (iteratively reweighted least squares; Bishop 2006, Pattern Recognition, 4.3.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.learning.features import NAMES, SIZE, Row

Floats: TypeAlias = NDArray[np.float64]

# Middle and spread of each feature among plausible candidates: they only put the features on one scale.
_SCALES: Final[Mapping[str, tuple[float, float]]] = {
    "similarity": (0.8, 0.12),
    "margin": (0.1, 0.12),
    "vote": (1.5, 2.0),
    "wide_vote": (1.0, 1.5),
    "share": (0.0, 1.5),
    "farthest": (0.55, 0.12),
    "near_own": (0.75, 0.12),
    "letters": (0.5, 0.2),
    "words": (0.5, 0.2),
    "content": (0.5, 0.3),
    "covered": (0.6, 0.35),
    "contrast": (0.3, 0.3),
    "answers": (0.2, 0.2),
    "asks_otherwise": (0.3, 0.5),
    "ruled_out": (0.1, 0.3),
    "length": (0.7, 0.2),
    "additions": (0.4, 0.35),
    "excused": (0.0, 1.0),
}
# What is believed before anything turned out: likeness in meaning and in words speaks for an answer, other answers
# nearby speak against it.
_PRIOR: Final[Mapping[str, float]] = {
    "similarity": -1.2,
    "margin": -0.4,
    "vote": -0.4,
    "wide_vote": -0.2,
    "letters": -0.4,
    "words": -0.4,
    "content": -0.7,
    "contrast": -0.3,
    "additions": 0.4,
    "excused": 1.0,
}
_PRIOR_CONSTANT: Final = 1.5
# Nothing is served at 2% on belief alone: of questions that people took for the same at first sight, one in twenty was
# not. Some hundred outcomes say how it is here.
_LIKELY_LAPSE: Final = 0.05
_LAPSE_CERTAINTY: Final = 40.0
# Of which squares and products tell something: agreement means less where everything is near.
_CURVED: Final = ("similarity", "margin", "vote", "share", "farthest", "words", "contrast", "answers")
_FARTHEST: Final = 4.0
# Precisions (1 / variance) of the priors: the constant moves freely, products must earn their weight.
_CONSTANT_PRECISION: Final = 0.3
_LINEAR_PRECISION: Final = 1.0
_CURVED_PRECISION: Final = 10.0
_ROUNDS: Final = 4
_STEPS: Final = 12
_SHORTEST_STEP: Final = 1e-3
_TOLERANCE: Final = 1e-4
_LARGEST_LOG_ODDS: Final = 30.0

_MIDDLE: Final[Floats] = np.array([_SCALES[name][0] for name in NAMES])
_SPREAD: Final[Floats] = np.array([_SCALES[name][1] for name in NAMES])
_PAIRS: Final = np.triu_indices(len(_CURVED))
_COLUMNS: Final = np.array([NAMES.index(name) for name in _CURVED])
_LEFT: Final = _COLUMNS[_PAIRS[0]]
_RIGHT: Final = _COLUMNS[_PAIRS[1]]
_PRIOR_WEIGHTS: Final[Floats] = np.concatenate(
    ([_PRIOR_CONSTANT], [_PRIOR.get(name, 0.0) for name in NAMES], np.zeros(len(_LEFT)))
)
_PRECISION: Final[Floats] = np.concatenate(
    ([_CONSTANT_PRECISION], np.full(SIZE, _LINEAR_PRECISION), np.full(len(_LEFT), _CURVED_PRECISION))
)


def design(rows: NDArray[np.float32]) -> Floats:
    """What the weights multiply: one line per row of features, one column per weight."""
    scaled = np.clip((rows.astype(np.float64) - _MIDDLE) / _SPREAD, -_FARTHEST, _FARTHEST)
    constant = np.ones((len(scaled), 1))
    return np.hstack((constant, scaled, scaled[:, _LEFT] * scaled[:, _RIGHT]))


@dataclass(frozen=True, slots=True)
class Model:
    """How likely candidates are wrong."""

    weights: Floats
    """As many as a design has columns."""
    lapse: float
    """0 to 1."""

    def probabilities(self, lines: Floats) -> Floats:
        """P(wrong) of each line of a design, 0 to 1."""
        return self.lapse + (1 - self.lapse) * _sigmoid(lines @ self.weights)

    def probability(self, features: Row) -> float:
        """P(wrong) of one candidate, 0 to 1."""
        return float(self.probabilities(design(features[np.newaxis, :]))[0])


CAUTIOUS: Final = Model(_PRIOR_WEIGHTS, _LIKELY_LAPSE)
"""What is believed before anything turned out."""


def fitted(lines: Floats, wrong: Floats, counts: Floats, start: Model) -> Model:
    """The most probable model given the outcomes.

    Args:
        lines: a design.
        wrong: 1 where the answer was wrong, else 0.
        counts: how many outcomes each line stands for, at least 0.
        start: the model to begin the search with, such as the last one.
    """
    weights, lapse = start.weights, start.lapse
    total = float(np.sum(counts)) + _LAPSE_CERTAINTY
    for _ in range(_ROUNDS):
        shown = (1 - lapse) * _sigmoid(lines @ weights)
        # Of a wrong outcome this share is a lapse, and the rest is for the features to explain.
        lapsed = wrong * lapse / (lapse + shown)
        lapse = (float(np.sum(counts * lapsed)) + _LIKELY_LAPSE * _LAPSE_CERTAINTY) / total
        weights = _weights(lines, wrong, counts * (1 - lapsed), weights)
    return Model(weights, lapse)


def _sigmoid(odds: Floats) -> Floats:
    bounded: Floats = np.clip(odds, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    return 1.0 / (1.0 + np.exp(-bounded))


def _weights(lines: Floats, wrong: Floats, counts: Floats, start: Floats) -> Floats:
    weights, loss = start, _loss(start, lines, wrong, counts)
    for _ in range(_STEPS):
        step = _newton_step(weights, lines, wrong, counts)
        length = 1.0
        nearer: Floats = weights - step
        while (lower := _loss(nearer, lines, wrong, counts)) > loss and length > _SHORTEST_STEP:
            length /= 2
            nearer = weights - length * step
        if lower > loss:
            break
        gain, weights, loss = loss - lower, nearer, lower
        if gain <= _TOLERANCE * (1 + loss):
            break
    return weights


def _newton_step(weights: Floats, lines: Floats, wrong: Floats, counts: Floats) -> Floats:
    believed = _sigmoid(lines @ weights)
    gradient = lines.T @ (counts * (believed - wrong)) + _PRECISION * (weights - _PRIOR_WEIGHTS)
    curvature = (lines * (counts * believed * (1 - believed))[:, np.newaxis]).T @ lines
    curvature[np.diag_indices_from(curvature)] += _PRECISION
    return np.asarray(np.linalg.solve(curvature, gradient), np.float64)


def _loss(weights: Floats, lines: Floats, wrong: Floats, counts: Floats) -> float:
    odds = lines @ weights
    misfit = float(np.sum(counts * (np.logaddexp(0.0, odds) - wrong * odds)))
    return misfit + 0.5 * float(np.sum(_PRECISION * (weights - _PRIOR_WEIGHTS) ** 2))
