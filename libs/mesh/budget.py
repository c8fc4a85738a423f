"""A retry budget: retries may be a fraction of the calls, so that they never multiply an overload.

Finagle's `RetryBudget` (ttl 10 s, 20%, at least 10 per second), on a sliding window of slots as in tower's `TpsBudget`.
"""

from dataclasses import dataclass
from typing import Final

from libs.core.clock import Clock

_SLOTS: Final = 10


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """How many retries a channel may make.

    Attributes:
        ttl: seconds that a deposit counts, in [1, 60].
        ratio: retries per call, in [0, 1000].
        floor: retries per second that are always allowed, so that a channel with little traffic can retry at all.
    """

    ttl: float = 10.0
    ratio: float = 0.2
    floor: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.ttl <= 60:
            raise ValueError(f"ttl must be in [1, 60], got {self.ttl}")
        if not 0 <= self.ratio <= 1000:
            raise ValueError(f"ratio must be in [0, 1000], got {self.ratio}")
        if self.floor < 0:
            raise ValueError(f"floor must not be negative, got {self.floor}")


@dataclass(frozen=True, slots=True)
class BudgetStatistics:
    """A snapshot of a budget."""

    balance: float
    """Retries that could be withdrawn now."""
    withdrawn: int
    """Retries granted since the budget was made."""
    refused: int
    """Retries refused since the budget was made."""


class RetryBudget:
    """Deposits of calls against withdrawals of retries, over a sliding window of `ttl` seconds.

    Both expire together, a tenth of the window at a time. They are counted in whole calls and retries, so that
    no rounding adds up.
    """

    __slots__ = ("_calls", "_clock", "_current", "_options", "_refused", "_reserve", "_retries", "_width", "_withdrawn")

    def __init__(self, options: BudgetOptions, clock: Clock) -> None:
        self._options: Final = options
        self._clock: Final = clock
        self._width: Final = options.ttl / _SLOTS
        self._reserve: Final = options.floor * options.ttl
        self._calls: Final = [0] * _SLOTS
        self._retries: Final = [0] * _SLOTS
        self._current = int(clock.monotonic() / self._width)
        self._withdrawn = 0
        self._refused = 0

    def deposit(self) -> None:
        """Take note of a call (not of its retries)."""
        self._calls[self._advance() % _SLOTS] += 1

    def try_withdraw(self) -> bool:
        """Whether one retry may be made now; if so, it is spent."""
        current = self._advance()
        if self._balance() < 1.0:
            self._refused += 1
            return False
        self._retries[current % _SLOTS] += 1
        self._withdrawn += 1
        return True

    def statistics(self) -> BudgetStatistics:
        """A snapshot of the balance and the counts."""
        self._advance()
        return BudgetStatistics(max(0.0, self._balance()), self._withdrawn, self._refused)

    def _balance(self) -> float:
        return self._reserve + self._options.ratio * sum(self._calls) - sum(self._retries)

    def _advance(self) -> int:
        """Clear the slots whose time has come round again, and name the current one."""
        now = int(self._clock.monotonic() / self._width)
        if now != self._current:
            for expired in range(self._current + 1, min(now, self._current + _SLOTS) + 1):
                self._calls[expired % _SLOTS] = self._retries[expired % _SLOTS] = 0
            self._current = now
        return now

    def __repr__(self) -> str:
        counts = self.statistics()
        return f"<RetryBudget {counts.balance:.1f} left, {counts.withdrawn} withdrawn, {counts.refused} refused>"
