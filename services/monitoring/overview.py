"""The recent past, summed up from slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.monitoring.slices import Slice, WindowPlan
from services.monitoring.tally import ModelTally, Tally

_RATE_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Point:
    """One stretch of the window."""

    start: int
    """Unix seconds."""
    tally: Tally


@dataclass(frozen=True, slots=True)
class Overview:
    """The sums over a window, and over its points, oldest first."""

    at: float
    """Until when, Unix seconds."""
    start: int
    """From when, Unix seconds."""
    point_seconds: int
    total: Tally
    points: tuple[Point, ...]

    @property
    def window_seconds(self) -> float:
        """How long a time was summed up."""
        return self.at - self.start

    def models(self) -> list[tuple[str, ModelTally]]:
        """The models, the most expensive first."""
        return sorted(self.total.models.items(), key=lambda item: (-item[1].cost_usd_micros, -item[1].calls, item[0]))

    def turns_per_second(self) -> float:
        """The present rate: over the last ten seconds or more, the unfinished point included."""
        points = [point for point in self.points if point.start + self.point_seconds > self.at - _RATE_SECONDS]
        seconds = self.at - points[0].start if points else 0.0
        return sum(point.tally.turns for point in points) / seconds if seconds > 0 else 0.0


def summarise(plan: WindowPlan, now: float, slices: Sequence[tuple[Slice, Tally]]) -> Overview:
    """Sum up what the plan's slices hold at the time `now`."""
    total = Tally()
    tallies = [Tally() for _ in range(plan.points)]
    for part, tally in slices:
        total.merge(tally)
        tallies[plan.point_of(part)].merge(tally)
    points = tuple(Point(plan.start + index * plan.point_seconds, tally) for index, tally in enumerate(tallies))
    return Overview(now, plan.start, plan.point_seconds, total, points)
