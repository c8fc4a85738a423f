"""How often what was served was wrong, as far as audits tell."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from services.semantic_cache.learning.outcome import Outcome, Source

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


def wrong_share(outcomes: Iterable[Outcome]) -> WrongShare:
    """Estimate it from the audits among `outcomes`.

    Each audit stands for `1 / propensity - 1` answers that were served unseen (Hajek's weighted mean); the interval is
    Wilson's (1927) for the effective number of audits, `(sum w)^2 / sum w^2` (Kish 1965).
    """
    known = [(1 / each.propensity - 1, each.wrong) for each in outcomes if each.source is Source.AUDIT]
    total = sum(weight for weight, _ in known)
    if not total:
        return WrongShare(None, 0.0, 1.0, len(known))
    share = sum(weight for weight, wrong in known if wrong) / total
    size = total**2 / sum(weight**2 for weight, _ in known)
    low, high = _wilson(share, size)
    return WrongShare(share, low, high, len(known))


def _wilson(share: float, size: float) -> tuple[float, float]:
    square = _DEVIATIONS**2
    middle = (share + square / (2 * size)) / (1 + square / size)
    reach = _DEVIATIONS * math.sqrt(share * (1 - share) / size + square / (4 * size**2)) / (1 + square / size)
    return max(0.0, middle - reach), min(1.0, middle + reach)
