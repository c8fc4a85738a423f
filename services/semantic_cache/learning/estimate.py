"""How often what was served was wrong, as far as audits tell."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of a normal distribution 90% lie within so many deviations.
_DEVIATIONS: Final = 1.645


class WrongShare(NamedTuple):
    """The share of wrong answers among those that were served."""

    share: float | None
    """0 to 1; None before the first audit."""
    low: float
    """The ends of the 90% interval."""
    high: float
    audits: int
    """What it is derived from."""


def wrong_share(propensities: NDArray[np.float64], wrong: NDArray[np.bool_]) -> WrongShare:
    """Estimate it from audits.

    Each audit stands for `1 / propensity - 1` answers that were served unseen (Hajek's weighted mean); the interval is
    Wilson's (1927) for the effective number of audits, `(sum w)^2 / sum w^2` (Kish 1965).

    Args:
        propensities: of each audit, in (0, 1].
        wrong: what it showed, in the same order.
    """
    weights = 1 / propensities - 1
    total = float(np.sum(weights))
    if not total:
        return WrongShare(None, 0.0, 1.0, len(weights))
    share = float(np.sum(weights[wrong])) / total
    low, high = _wilson(share, total**2 / float(np.sum(weights**2)))
    return WrongShare(share, low, high, len(weights))


def _wilson(share: float, size: float) -> tuple[float, float]:
    square = _DEVIATIONS**2
    middle = (share + square / (2 * size)) / (1 + square / size)
    reach = _DEVIATIONS * math.sqrt(share * (1 - share) / size + square / (4 * size**2)) / (1 + square / size)
    return max(0.0, middle - reach), min(1.0, middle + reach)
