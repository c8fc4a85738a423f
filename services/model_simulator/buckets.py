"""A token bucket that refills continuously, as Anthropic's rate limits do."""

import math

from libs.core.clock import Clock


class TokenBucket:
    """Holds up to `per_minute` units and gains `per_minute / 60` a second. May be overdrawn, never overfilled."""

    __slots__ = ("_clock", "_level", "_updated", "per_minute")

    def __init__(self, per_minute: int, clock: Clock) -> None:
        """Starts full. `per_minute` must be positive."""
        if per_minute <= 0:
            raise ValueError(f"per_minute must be positive, not {per_minute}")
        self.per_minute = per_minute
        self._clock = clock
        self._level = float(per_minute)
        self._updated = clock.monotonic()

    def __repr__(self) -> str:
        return f"TokenBucket({self.available():.1f} of {self.per_minute})"

    def available(self) -> float:
        """Units there now; negative while overdrawn."""
        now = self._clock.monotonic()
        gained = (now - self._updated) * self.per_minute / 60.0
        self._updated = now
        self._level = min(float(self.per_minute), self._level + gained)
        return self._level

    def wait_for(self, amount: float) -> float:
        """Seconds until `amount` is there: 0 if it is, infinity if the bucket cannot hold so much."""
        if amount > self.per_minute:
            return math.inf
        # A billionth forgives the rounding of refills, so that whoever waited as long as told is let through.
        missing = amount - self.available() - 1e-9 * self.per_minute
        return max(0.0, missing * 60.0 / self.per_minute)

    def take(self, amount: float) -> None:
        """Remove `amount`, below zero if need be: what was produced was produced."""
        self._level = self.available() - amount

    def full_in(self) -> float:
        """Seconds until the bucket is full, if nothing more is taken."""
        return (self.per_minute - self.available()) * 60.0 / self.per_minute
