"""Time, cut into slices: which there are, how long they are kept, and which of them answer for a window."""

import math
from dataclasses import dataclass
from typing import Final

MIN_WINDOW_SECONDS: Final = 10.0
MAX_WINDOW_SECONDS: Final = 24 * 3600.0
DEFAULT_WINDOW_SECONDS: Final = 300.0
MAX_POINTS: Final = 120


@dataclass(frozen=True, slots=True)
class Tier:
    """Slices of one width and how long they are kept."""

    width: int
    """Seconds."""
    retention: int
    """Seconds after the slice's end."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice: `[start, start + tier.width)` in Unix seconds."""

    tier: Tier
    start: int

    @property
    def expires_at(self) -> int:
        """The Unix second from which nobody needs it any more."""
        return self.start + self.tier.width + self.tier.retention


FINE: Final = Tier(width=5, retention=3600)
COARSE: Final = Tier(width=60, retention=25 * 3600)
TIERS: Final = (FINE, COARSE)

# Lengths that people read at a glance; all up to a minute are made of fine slices, all others of coarse ones.
_POINT_SECONDS: Final = (5, 10, 15, 30, 60, 120, 300, 600, 900)


def slice_of(tier: Tier, at: float) -> Slice:
    """The slice that holds the instant `at` (Unix seconds)."""
    return Slice(tier, int(at // tier.width) * tier.width)


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Which slices answer for a window, and into how many points of equal length they are summed up."""

    tier: Tier
    start: int
    """When the first point begins, Unix seconds; a multiple of `point_seconds`, so that points do not wander."""
    point_seconds: int
    points: int

    def slices(self) -> list[Slice]:
        """The slices to read, oldest first."""
        end = self.start + self.points * self.point_seconds
        return [Slice(self.tier, start) for start in range(self.start, end, self.tier.width)]

    def point_of(self, part: Slice) -> int:
        """The number of the point that the slice belongs to, from 0."""
        return (part.start - self.start) // self.point_seconds


def plan(now: float, window_seconds: float) -> WindowPlan:
    """How to answer for the last `window_seconds` before `now` (Unix seconds).

    The first point is a whole one, so the plan covers the window and up to one point more; the last point is still
    being filled. There are at most `MAX_POINTS`.
    """
    if not MIN_WINDOW_SECONDS <= window_seconds <= MAX_WINDOW_SECONDS:
        raise ValueError(f"a window lasts {MIN_WINDOW_SECONDS} to {MAX_WINDOW_SECONDS} seconds, got {window_seconds}")
    # One point more than fits: the window begins and ends inside a point.
    width = next(seconds for seconds in _POINT_SECONDS if math.ceil(window_seconds / seconds) + 1 <= MAX_POINTS)
    start = int((now - window_seconds) // width) * width
    last = int(now // width) * width
    tier = COARSE if width >= COARSE.width else FINE
    return WindowPlan(tier, start, width, (last - start) // width + 1)
