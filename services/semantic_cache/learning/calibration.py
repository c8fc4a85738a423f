"""The rule that bounds the share of wrong answers among those that are served.

vCache (Schroeder et al. 2025, arXiv 2502.03771) bounds errors per request, `P(served and wrong) <= delta`, which with
few hits lets most of them be wrong. Here the bound is on `P(wrong | served) <= alpha`. Serving every candidate with
p <= t makes a share `m(t) = E[p | p <= t]` of what is served wrong, if p is calibrated; so the threshold is the largest
t that keeps a cautious estimate of that share within alpha:

    served(t) = excess * m(t),      served(t) + z * sqrt(served(t) / horizon) <= alpha

- `m(t)` is estimated from the log of outcomes, each weighted by 1 / propensity (Horvitz and Thompson 1952): an audit
  stands for all the answers that were served unseen.
- `excess` guards against a model that is not calibrated where it matters: observed over predicted wrong outcomes among
  the likely served, each predicted before it was seen (Dawid 1984). Given a gamma prior around 1 the ratio of a Poisson
  count to its expectation has a gamma posterior (Clayton and Kaldor 1987); its upper quantile is used. Weighted counts
  are first brought to the size that has their variance.
- the last term is the chance that a finite number of served answers shows, so the bound holds for what a tenant can
  count and not only on average. `horizon` is how many answers below t the log stands for, at most 4,000.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.semantic_cache.learning.model import CAUTIOUS, Floats, Model, design, fitted

# Standard deviations: of chance, and of the excess's own uncertainty.
_CHANCE: Final = 1.0
_HORIZON: Final = 4_000
_EXCESS_DEVIATIONS: Final = 1.0
# The prior's weight, in wrong outcomes; and below 1 the excess tells of luck rather than of caution.
_EXCESS_PRIOR: Final = 8.0
_LEAST_EXCESS: Final = 0.8
# No single answer is served at more than this many times alpha, however safe the others are.
_BOLDEST: Final = 6.0


@dataclass(frozen=True, slots=True)
class Experience:
    """Outcomes, the oldest first, as arrays of one length."""

    rows: np.typing.NDArray[np.float32]
    """Features, one line each."""
    wrong: Floats
    """1 or 0."""
    counts: Floats
    """How many decisions of today each stands for: 1 / propensity, less for what is long ago."""
    blame: Floats
    """What share of it says something about the model and not about a stale answer, 0 to 1."""
    p_wrong: Floats
    """What was believed at the time."""
    stale: Floats
    """P(stale) of the candidate as believed today."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learned: the model, and what decides how far it may be trusted."""

    model: Model
    risks: Floats
    """P(wrong) of past candidates as believed today, the lowest first."""
    shares: Floats
    """Of `risks`: the mean of it and all lower ones."""
    horizons: Floats
    """Of `risks`: how many candidates it and all lower ones stand for."""
    predicted: Floats
    """P(wrong) of past candidates as believed at the time."""
    wrong: Floats
    counts: Floats

    def excess(self, alpha: float) -> float:
        """Cautious ratio of wrong outcomes to predicted ones among candidates that may be served."""
        likely = self.predicted <= 2 * alpha
        counts, predicted = self.counts[likely], self.predicted[likely]
        expected = float(np.sum(counts * predicted))
        spread = float(np.sum(counts**2 * predicted))
        observed = float(np.sum(counts * self.wrong[likely]))
        size = expected / spread if spread else 0.0
        ratio = _gamma_quantile(_EXCESS_PRIOR + size * observed, _EXCESS_PRIOR + size * expected, _EXCESS_DEVIATIONS)
        return max(_LEAST_EXCESS, ratio)

    def threshold(self, alpha: float) -> float:
        """The highest P(wrong) at which an answer may be served, 0 to 1.

        Args:
            alpha: the greatest share of wrong answers among served ones, in (0, 0.5].
        """
        served = self.excess(alpha) * self.shares
        within = np.flatnonzero(served + _CHANCE * np.sqrt(served / np.minimum(self.horizons, _HORIZON)) <= alpha)
        return min(float(self.risks[within[-1]]), _BOLDEST * alpha) if len(within) else 0.0

    def known_below(self, threshold: float) -> int:
        """How many outcomes are known of candidates that were believed to be no riskier than `threshold`."""
        return int(np.sum(self.predicted <= threshold))


def calibrated(experience: Experience, start: Model) -> Calibration:
    """Learn from outcomes. Pure, and some milliseconds long for thousands of them: run it in a thread.

    Args:
        experience: the outcomes.
        start: the model of the last calibration.
    """
    lines = design(experience.rows)
    model = fitted(lines, experience.wrong, experience.counts * experience.blame, start)
    risks = experience.stale + (1 - experience.stale) * model.probabilities(lines)
    # Outcomes that stand for nothing any more are left out, the rest is in order of risk.
    order = [row for row in np.argsort(risks, kind="stable") if experience.counts[row] > 0]
    counts = experience.counts[order]
    horizons = np.cumsum(counts)
    shares = np.cumsum(counts * risks[order]) / horizons
    return Calibration(model, risks[order], shares, horizons, experience.p_wrong, experience.wrong, experience.counts)


def uncalibrated() -> Calibration:
    """What is believed before any outcome."""
    none = np.zeros(0)
    return Calibration(CAUTIOUS, none, none, none, none, none, none)


def _gamma_quantile(shape: float, rate: float, deviations: float) -> float:
    """The quantile `deviations` above the middle of a gamma distribution (Wilson and Hilferty 1931)."""
    ninth = 1 / (9 * shape)
    return shape / rate * max(0.0, 1 - ninth + deviations * math.sqrt(ninth)) ** 3
