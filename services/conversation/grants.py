"""Grants: calls that auth admitted ahead, for credentials that call so often that asking each time is the cost.

For a credential that makes fewer than ten calls in any second nothing is asked for beyond those of its calls that wait
already: each is checked when it is made, and revoking the credential works at once.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from libs.core.clock import Clock

MOST_WANTED: Final = 64
_AHEAD_SECONDS: Final = 0.1
"""For how long a grant should last: half of what auth lets it live, so that little of it is lost."""
_WINDOW_SECONDS: Final = 1.0

Holder = TypeVar("Holder")


@dataclass(slots=True)
class Pace:
    """How many calls were made in the last second, from two counters (a sliding window counter).

    The current window is exact; of the one before, the share that the last second still covers is assumed.
    """

    _start: float
    _current: int = 0
    _before: int = 0

    def count(self, now: float) -> None:
        """One more call."""
        self._roll(now)
        self._current += 1

    def per_second(self, now: float) -> float:
        """Calls a second, at most those of this window and the one before."""
        self._roll(now)
        return self._current + self._before * (1.0 - (now - self._start) / _WINDOW_SECONDS)

    def _roll(self, now: float) -> None:
        age = now - self._start
        if age < _WINDOW_SECONDS:
            return
        follows = age < 2 * _WINDOW_SECONDS
        self._before = self._current if follows else 0
        self._start = self._start + _WINDOW_SECONDS if follows else now
        self._current = 0


@dataclass(slots=True)
class _Account(Generic[Holder]):
    """What is left of a key's last grant, and how often its holder calls."""

    holder: Holder
    pace: Pace
    left: int = 0
    until: float = 0.0
    """The instant, on the clock's monotonic scale, from which on nothing may be taken."""


class GrantsStatistics(NamedTuple):
    """A snapshot of `Grants`."""

    keys: int
    """Keys remembered."""
    granted: int
    """Calls granted so far, beyond those that asked."""
    taken: int
    """How many of them were used."""


class Grants(Generic[Holder]):
    """What is left of each key's grant, and what to ask for when nothing is. Decides; asking is the caller's.

    Args:
        clock: decides when a grant ends.
        capacity: keys remembered; the least recently used is forgotten, with what is left of its grant.
    """

    def __init__(self, clock: Clock, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._clock: Final = clock
        self._capacity: Final = capacity
        self._accounts: Final[OrderedDict[Hashable, _Account[Holder]]] = OrderedDict()
        self._granted = 0
        self._taken = 0

    def take(self, key: Hashable) -> Holder | None:
        """Use one call of the key's grant: its holder, or None if there is none left and auth has to be asked."""
        account = self._accounts.get(key)
        if account is None or account.left == 0:
            return None
        now = self._clock.monotonic()
        if now >= account.until:
            account.left = 0
            return None
        account.left -= 1
        account.pace.count(now)
        self._taken += 1
        self._accounts.move_to_end(key)
        return account.holder

    def wanted(self, key: Hashable, waiting: int) -> int:
        """How many calls to ask for, the one that asks included: what comes in a tenth of a second, and who waits.

        Args:
            key: whose.
            waiting: calls that wait for this answer, besides the one that asks.
        """
        account = self._accounts.get(key)
        soon = 0 if account is None else int(account.pace.per_second(self._clock.monotonic()) * _AHEAD_SECONDS)
        return min(MOST_WANTED, max(1, soon) + waiting)

    def put(self, key: Hashable, holder: Holder, calls: int, seconds: float) -> None:
        """Keep what auth granted.

        Args:
            key: to whom.
            holder: who they are; replaces what was known.
            calls: how many were granted, the one that asked (and is used now) included.
            seconds: how long the others may be used from now on; 0 or less: not at all.
        """
        now = self._clock.monotonic()
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account(holder, Pace(now))
            if len(self._accounts) > self._capacity:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(key)
        account.holder = holder
        account.left = max(0, calls - 1) if seconds > 0 else 0
        account.until = now + seconds
        account.pace.count(now)
        self._granted += account.left

    def drop(self, key: Hashable) -> None:
        """Forget a key that is admitted no more."""
        self._accounts.pop(key, None)

    def statistics(self) -> GrantsStatistics:
        """What happened so far."""
        return GrantsStatistics(len(self._accounts), self._granted, self._taken)

    def __repr__(self) -> str:
        return f"Grants({len(self._accounts)}/{self._capacity}, granted={self._granted}, taken={self._taken})"
