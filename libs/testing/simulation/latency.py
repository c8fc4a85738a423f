"""How long a simulated server takes: distributions to draw seconds from."""

from dataclasses import dataclass
from math import cos, exp, log, pi, sqrt
from typing import Final, Protocol

from libs.core.rng import Rng

_TURN: Final = 2 * pi


class Latency(Protocol):
    """A distribution of seconds."""

    def draw(self, rng: Rng) -> float:
        """One value, never negative."""
        ...


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal distribution, cut off at zero."""

    mean: float
    deviation: float = 0.0

    def __post_init__(self) -> None:
        if self.mean < 0 or self.deviation < 0:
            raise ValueError(f"mean and deviation must not be negative, got {self.mean} and {self.deviation}")

    def draw(self, rng: Rng) -> float:
        """One value."""
        return max(0.0, self.mean + self.deviation * _standard_normal(rng)) if self.deviation else self.mean


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A log-normal distribution: half of the values lie below `median`, and a few far above it.

    Attributes:
        median: seconds, above 0.
        sigma: deviation of the logarithm; 0.5 puts the 99th percentile at 3.2 medians.
    """

    median: float
    sigma: float = 0.5

    def __post_init__(self) -> None:
        if self.median <= 0 or self.sigma < 0:
            raise ValueError(f"median must be above 0 and sigma not negative, got {self.median} and {self.sigma}")

    def draw(self, rng: Rng) -> float:
        """One value."""
        return self.median * exp(self.sigma * _standard_normal(rng))


def exponential(rng: Rng, mean: float) -> float:
    """The time until the next event of a Poisson process whose events are `mean` apart on average."""
    return -mean * log(1.0 - rng.random())


def _standard_normal(rng: Rng) -> float:
    # Box and Muller; the second value of the pair is not kept, so that a draw depends on nothing before it.
    return sqrt(-2.0 * log(1.0 - rng.random())) * cos(_TURN * rng.random())
