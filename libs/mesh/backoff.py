"""How long to wait before the next try: exponential, bounded, jittered."""

from dataclasses import dataclass

from libs.core.rng import Rng


@dataclass(frozen=True, slots=True)
class Backoff:
    """The schedule `initial * multiplier ** n`, at most `maximum`, times a random factor in `1 +- jitter`.

    Attributes:
        initial: seconds before the first retry, above 0.
        maximum: seconds that no delay exceeds before jitter, at least `initial`.
        multiplier: growth per step, at least 1.
        jitter: half the width of the random factor, in [0, 1]. gRFC A6 uses 0.2; 0.5 spreads a whole fleet wider.
    """

    initial: float
    maximum: float
    multiplier: float = 2.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum:
            raise ValueError(f"0 < initial <= maximum must hold, got {self.initial} and {self.maximum}")
        if self.multiplier < 1:
            raise ValueError(f"multiplier must be at least 1, got {self.multiplier}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be in [0, 1], got {self.jitter}")

    def delay(self, step: int, rng: Rng) -> float:
        """Seconds to wait after `step` earlier waits (0 for the first)."""
        # A multiplier to a large power overflows long before a breaker stops counting.
        growth = self.multiplier ** min(step, 64)
        return min(self.initial * growth, self.maximum) * rng.uniform(1 - self.jitter, 1 + self.jitter)
