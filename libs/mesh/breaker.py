"""A circuit breaker per endpoint: opens after consecutive failures, closes after one successful probe.

Failure accrual by consecutive failures and the growing backoff follow Finagle's `FailureAccrualFactory`; the
single probe is its `markDeadForever`-less half-open state. See `classify` for what counts as a failure.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Final

from libs.core.clock import Clock
from libs.core.errors import Code
from libs.core.rng import Rng
from libs.mesh.backoff import Backoff


class State(Enum):
    """CLOSED lets calls through, OPEN none, HALF_OPEN one probe."""

    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class Outcome(Enum):
    """What an attempt says about the health of its endpoint."""

    SUCCESS = auto()
    FAILURE = auto()
    NEUTRAL = auto()
    """Nothing: cancelled, or given too little time."""


_FAILURES: Final = frozenset({Code.UNAVAILABLE, Code.INTERNAL, Code.UNKNOWN})


@dataclass(frozen=True, slots=True)
class BreakerOptions:
    """When a breaker opens and how long it stays open.

    Attributes:
        failures: consecutive failures that open it, at least 1.
        backoff: how long it stays open, by the number of times it opened without closing in between.
        probe_lease: seconds after which an unanswered probe no longer keeps others from probing.
        tiny_timeout: a DEADLINE_EXCEEDED of an attempt that was given less than these seconds is the caller's doing.
    """

    failures: int = 5
    # Finagle starts at 5 s; with retries to other endpoints a probe is cheap, so a restarted pod is found sooner.
    backoff: Backoff = field(default_factory=lambda: Backoff(initial=1.0, maximum=60.0, jitter=0.5))
    probe_lease: float = 10.0
    tiny_timeout: float = 0.1

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise ValueError(f"failures must be at least 1, got {self.failures}")
        if self.probe_lease <= 0 or self.tiny_timeout < 0:
            raise ValueError("probe_lease must be above 0 and tiny_timeout not negative")


@dataclass(frozen=True, slots=True)
class BreakerStatistics:
    """A snapshot of one breaker."""

    state: State
    consecutive_failures: int
    times_opened: int
    """How often it opened since it was made, reopening after a failed probe included."""


def classify(code: Code, timeout: float, options: BreakerOptions) -> Outcome:
    """What `code` says about the endpoint that answered with it.

    An application's code shows that the endpoint is alive, so it is a success here.

    Args:
        code: the attempt's status.
        timeout: seconds the attempt was given.
        options: holds `tiny_timeout`.
    """
    if code in _FAILURES:
        return Outcome.FAILURE
    if code is Code.DEADLINE_EXCEEDED:
        return Outcome.NEUTRAL if timeout < options.tiny_timeout else Outcome.FAILURE
    return Outcome.NEUTRAL if code is Code.CANCELLED else Outcome.SUCCESS


class Breaker:
    """The state of one endpoint's breaker. Synchronous; whoever sends calls asks `try_probe` and tells `record`."""

    __slots__ = (
        "_clock",
        "_failures",
        "_opened_at",
        "_options",
        "_probed_at",
        "_rng",
        "_streak",
        "_times",
        "probe_at",
        "state",
    )

    def __init__(self, options: BreakerOptions, clock: Clock, rng: Rng) -> None:
        self._options: Final = options
        self._clock: Final = clock
        self._rng: Final = rng
        self._failures = 0
        self._streak = 0
        self._times = 0
        self._opened_at = -inf
        self._probed_at = -inf
        self.state = State.CLOSED
        self.probe_at: float = inf
        """The instant, on the clock's monotonic scale, from which `try_probe` may succeed; infinite while CLOSED."""

    def try_probe(self) -> bool:
        """Lease the one probe, if it is time for one; the caller then sends a call and records its outcome."""
        now = self._clock.monotonic()
        if now < self.probe_at:
            return False
        self.state = State.HALF_OPEN
        self._probed_at = now
        self.probe_at = now + self._options.probe_lease
        return True

    def record(self, outcome: Outcome, started: float) -> None:
        """Take note of an attempt's end.

        Args:
            outcome: what `classify` made of it.
            started: when the attempt began, on the clock's monotonic scale: what began before the breaker opened
                (or before the probe was leased) says nothing about the endpoint now.
        """
        if self.state is State.CLOSED:
            self._record_closed(outcome)
        elif self.state is State.HALF_OPEN:
            if started >= self._probed_at:
                self._record_probe(outcome)
        elif outcome is Outcome.SUCCESS and started >= self._opened_at:
            # Sent in panic mode, when every breaker is open.
            self._close()

    def statistics(self) -> BreakerStatistics:
        """A snapshot of the counts."""
        return BreakerStatistics(self.state, self._failures, self._times)

    def _record_closed(self, outcome: Outcome) -> None:
        if outcome is Outcome.SUCCESS:
            self._failures = 0
        elif outcome is Outcome.FAILURE:
            self._failures += 1
            if self._failures >= self._options.failures:
                self._open()

    def _record_probe(self, outcome: Outcome) -> None:
        if outcome is Outcome.SUCCESS:
            self._close()
        elif outcome is Outcome.FAILURE:
            self._open()
        else:
            self.probe_at = self._clock.monotonic()

    def _open(self) -> None:
        self._opened_at = self._clock.monotonic()
        self.probe_at = self._opened_at + self._options.backoff.delay(self._streak, self._rng)
        self._streak += 1
        self._times += 1
        self.state = State.OPEN

    def _close(self) -> None:
        self._failures = 0
        self._streak = 0
        self.probe_at = inf
        self.state = State.CLOSED

    def __repr__(self) -> str:
        return f"<Breaker {self.state.name}, {self._failures} consecutive failures, opened {self._times} times>"
