"""A limit that finds itself from how long attempts take: Netflix's Gradient2.

`Gradient2Limit.java`, `ExpAvgMeasurement.java` and `WindowedLimit.java` of Netflix/concurrency-limits: the average of a
window is compared with a long-run average. While they are alike the limit grows by a fixed allowance for queueing; when
the window is slower than `tolerance` times the long run, attempts are queueing, and the limit shrinks in proportion.

Gradient2 itself takes no notice of dropped attempts; a window with one is answered as by the same library's
`AIMDLimit.java`, with nine tenths of the limit.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

from libs.mesh.faults import refuse
from libs.mesh.limit.base import LimitStatistics

_WARM_UP: Final = 10
"""Windows whose plain average the long-run average starts from (`new ExpAvgMeasurement(longWindow, 10)`)."""
_STEEPEST: Final = 0.5
"""The smallest gradient: one slow window is never taken for a reason to more than halve."""
_DRIFT: Final = 0.95
_BACKOFF: Final = 0.9
"""`AIMDLimit`'s `backoffRatio`."""


@dataclass(frozen=True, slots=True)
class Gradient2Options:
    """Options of a `Gradient2Limit`; the defaults are Netflix's.

    Attributes:
        initial: the limit to start with, in [minimum, maximum].
        minimum: the limit it never falls below, at least 1.
        maximum: the limit it never exceeds, at least `minimum`.
        smoothing: how much of a new estimate is taken over at once, in (0, 1].
        queue: attempts that may queue at the endpoint: what the limit grows by while it is quick, not negative.
        long_window: windows that the long-run average covers, at least 1.
        tolerance: how many times slower than the long run a window may be without being taken for queueing, at least 1.
        window: seconds over which attempts are averaged, from the first on, not negative.
        window_attempts: attempts that an average needs, at least 1; a window with fewer is prolonged. With 1, and a
            `window` of 0, each attempt is taken by itself.
    """

    initial: int = 20
    minimum: int = 20
    maximum: int = 200
    smoothing: float = 0.2
    queue: int = 4
    long_window: int = 600
    tolerance: float = 1.5
    window: float = 1.0
    window_attempts: int = 10

    def __post_init__(self) -> None:
        rules = {
            "1 <= minimum <= initial <= maximum must hold": 1 <= self.minimum <= self.initial <= self.maximum,
            "smoothing must be in (0, 1]": 0 < self.smoothing <= 1,
            "queue must not be negative": self.queue >= 0,
            "long_window must be at least 1": self.long_window >= 1,
            "tolerance must be at least 1": self.tolerance >= 1,
            "window must not be negative": self.window >= 0,
            "window_attempts must be at least 1": self.window_attempts >= 1,
        }
        refuse("limit", [rule for rule, holds in rules.items() if not holds])


class Gradient2Limit:
    """A limit between `minimum` and `maximum` that follows the endpoint's latency."""

    __slots__ = (
        "_attempts",
        "_busiest",
        "_decreases",
        "_dropped",
        "_ends",
        "_estimate",
        "_factor",
        "_options",
        "_seconds",
        "_usual",
        "_windows",
        "limit",
    )

    def __init__(self, options: Gradient2Options) -> None:
        self._options: Final = options
        self._estimate = float(options.initial)
        self._factor: Final = 2 / (options.long_window + 1)
        self._usual = 0.0
        self._windows = 0
        self._decreases = 0
        self._ends = inf
        self._attempts = 0
        self._seconds = 0.0
        self._busiest = 0
        self._dropped = False
        self.limit = options.initial
        """Attempts that may be in flight at once; read at every pick, so no property."""

    def observe(self, seconds: float, in_flight: int, dropped: bool, now: float) -> None:
        """Take note of an attempt's end; see `Limiter.observe`.

        How long a dropped one took does not count: being shed is quick, and a timeout says only that it is not.
        """
        if self._ends == inf:
            self._ends = now + self._options.window
        if in_flight > self._busiest:
            self._busiest = in_flight
        if dropped:
            self._dropped = True
        else:
            self._attempts += 1
            self._seconds += seconds
        if now >= self._ends and (self._dropped or self._attempts >= self._options.window_attempts):
            self._conclude()

    def statistics(self) -> LimitStatistics:
        """A snapshot."""
        return LimitStatistics(self.limit, self._usual, self._decreases)

    def _begin(self) -> None:
        self._ends = inf
        self._attempts = 0
        self._seconds = 0.0
        self._busiest = 0
        self._dropped = False

    def _conclude(self) -> None:
        present = self._seconds / self._attempts if self._attempts else 0.0
        usual = self._learn(present) if self._attempts else self._usual
        if self._dropped:
            self._decreases += 1
            self._move(self._estimate * _BACKOFF)
        # With less in flight nobody can tell whether the limit is too high or too low.
        elif self._busiest >= self._estimate / 2:
            gradient = min(1.0, self._options.tolerance * usual / present) if present > 0 else 1.0
            target = self._estimate * max(_STEEPEST, gradient) + self._options.queue
            self._move(self._estimate + (target - self._estimate) * self._options.smoothing)
        self._begin()

    def _learn(self, present: float) -> float:
        """Take a window's average into the long run's; answers with what that was before it drifted back."""
        if self._windows < _WARM_UP:
            self._windows += 1
            self._usual += (present - self._usual) / self._windows
        else:
            self._usual += (present - self._usual) * self._factor
        usual = self._usual
        # After a long overload the average would take many windows to come down by itself, and find nothing slow.
        if usual > 2 * present:
            self._usual *= _DRIFT
        return usual

    def _move(self, estimate: float) -> None:
        self._estimate = max(float(self._options.minimum), min(float(self._options.maximum), estimate))
        self.limit = int(self._estimate)

    def __repr__(self) -> str:
        return f"<Gradient2Limit {self.limit}, usually {self._usual:.4f} s, {self._decreases} decreases>"
