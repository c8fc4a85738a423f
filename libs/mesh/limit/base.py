"""What every limit of an endpoint's concurrency looks like."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LimitStatistics:
    """A snapshot of a limit."""

    limit: int
    """Attempts that may be in flight at once."""
    usual_seconds: float
    """How long attempts take in the long run, 0 if it is not known or does not matter."""
    decreases: int
    """How often the limit was lowered because attempts were dropped."""


class Limiter(Protocol):
    """How many attempts one endpoint may have in flight. Synchronous; whoever sends attempts compares and observes."""

    @property
    def limit(self) -> int:
        """Attempts that may be in flight at once, at least 1."""
        ...

    def observe(self, seconds: float, in_flight: int, dropped: bool, now: float) -> None:
        """Take note of an attempt's end; constant time.

        Args:
            seconds: how long it took, not negative.
            in_flight: attempts in flight when it ended, itself included.
            dropped: whether the endpoint could not take it: it was shed or timed out.
            now: the instant, monotonic seconds.
        """
        ...

    def statistics(self) -> LimitStatistics:
        """A snapshot."""
        ...
