"""Rate limits: the generic cell rate algorithm (GCRA, ITU-T I.371), as `adapters/authorize.lua` runs it.

A limit of `n` a minute lets a request pass every `interval`; `capacity` of them may come at once after a pause. The
whole state is one instant, the theoretical arrival time (TAT). This is the reference that the Lua is tested against.
Instants and spans are integers of ticks, eighths of a microsecond: exact in Lua's doubles until 2060, and fine
enough for the highest limit (100,000,000 a minute is an interval of 4.8 ticks, rounded up to 5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

TICKS_PER_SECOND: Final = 8_000_000
EPOCH_SECONDS: Final = 1_735_689_600
"""2025-01-01 in Unix seconds: where the ticks start, so that they stay below 2^53."""
MAX_PER_MINUTE: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class RateLimits:
    """A tenant's own limits, requests a minute; 0 and absent methods mean the service's default."""

    tenant_per_minute: int = 0
    user_per_minute: int = 0
    method_per_minute: Mapping[str, int] = field(default_factory=dict)
    """By full gRPC method."""


@dataclass(frozen=True, slots=True)
class LimitDefaults:
    """What holds for a tenant that has no limits of its own, and how much may come at once."""

    tenant_per_minute: int
    user_per_minute: int
    method_per_minute: int
    """0 leaves methods without a limit of their own."""
    burst_seconds: int
    """How many seconds' worth of a limit may come at once after a pause."""


@dataclass(frozen=True, slots=True)
class Gcra:
    """One limit: `interval` ticks between requests, `capacity` of them at once."""

    interval: int
    capacity: int

    @classmethod
    def of(cls, per_minute: int, burst_seconds: int) -> "Gcra":
        """The limit of `per_minute` requests a minute, `burst_seconds` worth of them (at least one) at once."""
        if per_minute < 1 or burst_seconds < 1:
            raise ValueError(f"limits and bursts must be positive, got {per_minute} and {burst_seconds}")
        return cls(-(-60 * TICKS_PER_SECOND // per_minute), capacity(per_minute, burst_seconds))

    def wait(self, tat: int, now: int) -> int:
        """Ticks until a request may pass; 0 if it may now."""
        return max(0, max(tat, now) + self.interval - self.capacity * self.interval - now)

    def room(self, tat: int, now: int) -> int:
        """How many requests may pass now."""
        return max(0, (self.capacity * self.interval + now - max(tat, now)) // self.interval)

    def advance(self, tat: int, now: int, calls: int = 1) -> int:
        """The TAT after `calls` requests passed."""
        return max(tat, now) + calls * self.interval


def capacity(per_minute: int, burst_seconds: int) -> int:
    """How many requests may come at once after a pause."""
    return max(1, per_minute * burst_seconds // 60)


class Decision(NamedTuple):
    """What `admit` decided."""

    waits: tuple[int, ...]
    """Ticks until each limit would let one request pass; all 0 if they did."""
    tats: tuple[int, ...]
    """The TAT of each limit from now on."""
    calls: int
    """How many requests passed; 0 if the first was refused."""


def admit(limits: Sequence[Gcra], tats: Sequence[int], now: int, wanted: int = 1) -> Decision:
    """Let one request pass if it fits every limit, and more if more are `wanted` and there is room for twice as many.

    So whoever asks for many takes no more than half of what is left, and others still find some. A refused request
    changes no TAT.
    """
    states = tuple(zip(limits, tats, strict=True))
    waits = tuple(limit.wait(tat, now) for limit, tat in states)
    if any(waits):
        return Decision(waits, tuple(tats), 0)
    calls = max(1, min([wanted, *(limit.room(tat, now) // 2 for limit, tat in states)]))
    return Decision(waits, tuple(limit.advance(tat, now, calls) for limit, tat in states), calls)


def ticks(unix_micros: int) -> int:
    """An instant in ticks."""
    return (unix_micros - EPOCH_SECONDS * 1_000_000) * (TICKS_PER_SECOND // 1_000_000)
