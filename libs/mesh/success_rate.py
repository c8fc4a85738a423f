"""Counts over a sliding window, and the success rate made of two of them.

A window is a ring of slots that expire one after another (as in tower's `TpsBudget`). The count only
grows; each slot remembers what it was when the slot began, so adding is one comparison and one addition.
"""

from dataclasses import dataclass
from typing import Final

from libs.core.clock import Clock

_SLOTS: Final = 10


class SlidingCount:
    """How often something happened in the last `window` seconds, up to a tenth of the window less.

    Args:
        window: seconds, above 0.
        clock: where time comes from.
    """

    __slots__ = ("_clock", "_count", "_ends", "_marks", "_slot", "_width")

    def __init__(self, window: float, clock: Clock) -> None:
        if not window > 0:
            raise ValueError(f"window must be above 0, got {window}")
        self._clock: Final = clock
        self._width: Final = window / _SLOTS
        self._count = 0
        self._marks: Final = [0] * _SLOTS
        self._slot = int(clock.monotonic() / self._width)
        self._ends = (self._slot + 1) * self._width

    def add(self) -> None:
        """It happened once more."""
        now = self._clock.monotonic()
        if now >= self._ends:
            self._advance(now)
        self._count += 1

    def total(self) -> int:
        """How often it happened within the window."""
        now = self._clock.monotonic()
        if now >= self._ends:
            self._advance(now)
        return self._count - self._marks[(self._slot + 1) % _SLOTS]

    def reset(self) -> None:
        """Start over with nothing."""
        self._marks[:] = [self._count] * _SLOTS

    def _advance(self, now: float) -> None:
        slot = int(now / self._width)
        for begun in range(self._slot + 1, min(slot, self._slot + _SLOTS) + 1):
            self._marks[begun % _SLOTS] = self._count
        self._slot = slot
        self._ends = (slot + 1) * self._width

    def __repr__(self) -> str:
        return f"<SlidingCount {self.total()} in {self._width * _SLOTS:g} s>"


@dataclass(frozen=True, slots=True)
class SuccessRateStatistics:
    """A snapshot of a success rate."""

    attempts: int
    """Successes and failures within the window."""
    successes: int

    @property
    def ratio(self) -> float:
        """Successes per attempt, 1 if there were no attempts."""
        return self.successes / self.attempts if self.attempts else 1.0


class SuccessRate:
    """Successes and failures of the last `window` seconds, up to a tenth of the window less.

    Args:
        window: seconds, above 0.
        clock: where time comes from.
    """

    __slots__ = ("_failures", "_successes", "failure", "success")

    def __init__(self, window: float, clock: Clock) -> None:
        self._successes: Final = SlidingCount(window, clock)
        self._failures: Final = SlidingCount(window, clock)
        # Bound methods instead of methods: every call of the channel ends in one of them.
        self.success: Final = self._successes.add
        """Take note of a success."""
        self.failure: Final = self._failures.add
        """Take note of a failure."""

    def below(self, ratio: float, minimum: int) -> bool:
        """Whether there were at least `minimum` attempts and fewer than that share of them succeeded."""
        successes = self._successes.total()
        attempts = successes + self._failures.total()
        return attempts >= minimum and successes / attempts < ratio

    def reset(self) -> None:
        """Start over with nothing."""
        self._successes.reset()
        self._failures.reset()

    def statistics(self) -> SuccessRateStatistics:
        """A snapshot of the counts."""
        successes = self._successes.total()
        return SuccessRateStatistics(successes + self._failures.total(), successes)

    def __repr__(self) -> str:
        counts = self.statistics()
        return f"<SuccessRate {counts.successes} of {counts.attempts}>"
