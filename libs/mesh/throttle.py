"""Client-side throttling: a client whose calls are being turned away sends fewer, before they cost the server anything.

Google, "Site Reliability Engineering", chapter 21 "Handling Overload", section "Client-Side Throttling", equation 21-1.
"""

from dataclasses import dataclass
from typing import Final

from libs.core.clock import Clock
from libs.core.errors import Code
from libs.core.rng import Rng
from libs.mesh.faults import refuse
from libs.mesh.success_rate import SlidingCount

_NOT_ACCEPTED: Final = frozenset({Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})


@dataclass(frozen=True, slots=True)
class ThrottleOptions:
    """When a client refuses its own calls.

    Attributes:
        window: seconds that a call counts, above 0.
        k: calls that may be made per accepted one, at least 1; 2 lets the server turn away as many as it takes.
        minimum_calls: calls within the window below which none is refused, not negative.
        ceiling: the largest share of calls that is refused, in [0, 1].
    """

    window: float = 120.0
    k: float = 2.0
    # Less than one call per second: it overloads nobody, and a restart of its only server is no overload.
    minimum_calls: int = 100
    # The book has none. Then after an outage hardly one call per window is let through, and the share doubles every
    # window / k * ln 2 = 42 s: at 100 calls/s the service is back nine minutes after its server. With this one it is
    # four. Envoy's admission control has 0.8.
    ceiling: float = 0.9

    def __post_init__(self) -> None:
        rules = {
            "window must be above 0": self.window > 0,
            "k must be at least 1": self.k >= 1,
            "minimum_calls must not be negative": self.minimum_calls >= 0,
            "ceiling must be in [0, 1]": 0 <= self.ceiling <= 1,
        }
        refuse("throttle", [rule for rule, holds in rules.items() if not holds])


@dataclass(frozen=True, slots=True)
class ThrottleStatistics:
    """A snapshot of a throttle."""

    calls: int
    """Calls within the window: those that ended and those that were refused here."""
    accepted: int
    """Calls within the window that the server accepted."""
    refusal: float
    """The probability that the next call is refused."""
    refused: int
    """Calls refused here since the throttle was made."""


def was_accepted(code: Code) -> bool:
    """Whether `code` shows a server that took the call on: not if it shed it, was not there, or was late."""
    return code not in _NOT_ACCEPTED


class ClientThrottle:
    """Refuses calls with the probability `max(0, (calls - k * accepted) / (calls + 1))`, as if the server had.

    A call counts when it ends, or when it is refused here. (The book counts it when it begins, which takes a burst of
    long calls for an overload before any of them could have been accepted.)
    """

    __slots__ = ("_accepted", "_calls", "_options", "_refused", "_rng")

    def __init__(self, options: ThrottleOptions, clock: Clock, rng: Rng) -> None:
        self._options: Final = options
        self._rng: Final = rng
        self._calls: Final = SlidingCount(options.window, clock)
        self._accepted: Final = SlidingCount(options.window, clock)
        self._refused = 0

    def admit(self) -> bool:
        """Whether to make a call now; if so, its end is to be told to `record`, unless it is NEUTRAL."""
        refusal = self._refusal(self._calls.total(), self._accepted.total())
        if refusal <= 0 or self._rng.random() >= refusal:
            return True
        self._calls.add()
        self._refused += 1
        return False

    def record(self, accepted: bool) -> None:
        """Take note of a call's end; see `was_accepted`."""
        self._calls.add()
        if accepted:
            self._accepted.add()

    def statistics(self) -> ThrottleStatistics:
        """A snapshot of the counts."""
        calls, accepted = self._calls.total(), self._accepted.total()
        return ThrottleStatistics(calls, accepted, self._refusal(calls, accepted), self._refused)

    def _refusal(self, calls: int, accepted: int) -> float:
        excess = calls - self._options.k * accepted
        if excess <= 0 or calls < self._options.minimum_calls:
            return 0.0
        return min(self._options.ceiling, excess / (calls + 1))

    def __repr__(self) -> str:
        counts = self.statistics()
        return f"<ClientThrottle {counts.accepted} of {counts.calls} accepted, refuses {counts.refusal:.1%}>"
