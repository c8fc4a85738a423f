"""A deadline is an instant; a timeout is a span. Only deadlines travel."""

from dataclasses import dataclass
from typing import Self

from libs.core.clock import Clock


@dataclass(frozen=True, slots=True)
class Deadline:
    """The instant, on `clock`'s monotonic scale, after which nobody waits for the answer any more."""

    at: float
    clock: Clock

    @classmethod
    def after(cls, timeout: float, clock: Clock) -> Self:
        """The deadline `timeout` seconds from now."""
        return cls(clock.monotonic() + timeout, clock)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the instant has passed."""
        return self.clock.monotonic() >= self.at

    def sooner(self, timeout: float) -> "Deadline":
        """The earlier of this deadline and `timeout` seconds from now."""
        other = self.clock.monotonic() + timeout
        return self if self.at <= other else Deadline(other, self.clock)
