"""A circuit breaker per endpoint: opens on failures in a row or too low a success rate, closes after a good probe.

Both rules, either of which opens it, and the growing backoff follow Finagle's `FailureAccrualPolicy`
(`consecutiveFailures` or `successRateWithinDuration`), the single probe its `FailureAccrualFactory`.
Consecutive failures find an endpoint that is dead, the success rate one that fails every third call.
See `classify` for what counts as a failure.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Final

from libs.core.clock import Clock
from libs.core.errors import Code
from libs.core.rng import Rng
from libs.mesh.backoff import Backoff
from libs.mesh.faults import refuse
from libs.mesh.success_rate import SuccessRate


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


# In CPython 3.11 a member of an enum costs a look-up through its metaclass; these are on every call's way.
_CLOSED: Final = State.CLOSED
_SUCCESS: Final = Outcome.SUCCESS

_FAILURES: Final = frozenset({Code.UNAVAILABLE, Code.INTERNAL, Code.UNKNOWN})


@dataclass(frozen=True, slots=True)
class BreakerOptions:
    """When a breaker opens and how long it stays open.

    Attributes:
        failures: consecutive failures that open it, at least 1.
        success_rate: it also opens when fewer than this share of the attempts within `window` succeed, in [0, 1];
            0 leaves it to `failures` alone.
        window: seconds that an attempt counts towards the success rate, above 0.
        minimum_attempts: attempts within `window` below which the success rate says nothing, at least 1.
        backoff: how long it stays open, by the number of times it opened since it last stayed closed for `window`.
        probe_lease: seconds after which an unanswered probe no longer keeps others from probing.
        tiny_timeout: a DEADLINE_EXCEEDED of an attempt that was given less than these seconds is the caller's doing.
    """

    failures: int = 5
    success_rate: float = 0.8
    window: float = 30.0
    # A count, not a time since it closed: a busy endpoint could fail thousands of calls in one window. Of 20 attempts
    # 5 must fail: that befalls an endpoint that fails 1% of its calls with probability 1e-6 and one that
    # fails 2% with 4e-5, but one that fails half of them with 99%. Of 10 (3 fail) it would be 1e-4, 9e-4 and 95%.
    minimum_attempts: int = 20
    # Finagle starts at 5 s; with retries to other endpoints a probe is cheap, so a restarted pod is found sooner.
    backoff: Backoff = field(default_factory=lambda: Backoff(initial=1.0, maximum=60.0, jitter=0.5))
    probe_lease: float = 10.0
    tiny_timeout: float = 0.1

    def __post_init__(self) -> None:
        rules = {
            "failures must be at least 1": self.failures >= 1,
            "success_rate must be in [0, 1]": 0 <= self.success_rate <= 1,
            "window must be above 0": self.window > 0,
            "minimum_attempts must be at least 1": self.minimum_attempts >= 1,
            "probe_lease must be above 0": self.probe_lease > 0,
            "tiny_timeout must not be negative": self.tiny_timeout >= 0,
        }
        refuse("breaker", [rule for rule, holds in rules.items() if not holds])


@dataclass(frozen=True, slots=True)
class BreakerStatistics:
    """A snapshot of one breaker."""

    state: State
    consecutive_failures: int
    times_opened: int
    """How often it opened since it was made, reopening after a failed probe included."""
    attempts: int
    """Successes and failures that were counted while it was CLOSED, within the window and since it last closed."""
    success_rate: float
    """The share of `attempts` that succeeded, 1 if there were none."""


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
        "_closed_at",
        "_failures",
        "_opened_at",
        "_options",
        "_probed_at",
        "_rate",
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
        self._rate: Final = SuccessRate(options.window, clock)
        self._failures = 0
        self._streak = 0
        self._times = 0
        self._opened_at = -inf
        self._closed_at = inf
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
        """Take note of an attempt's end, in constant time.

        Args:
            outcome: what `classify` made of it.
            started: when the attempt began, on the clock's monotonic scale: what began before the breaker opened
                (or before the probe was leased) says nothing about the endpoint now.
        """
        if self.state is _CLOSED:
            if outcome is _SUCCESS:
                self._failures = 0
                self._rate.success()
            elif outcome is Outcome.FAILURE and started >= self._opened_at:
                self._fail()
        elif self.state is State.HALF_OPEN:
            if started >= self._probed_at:
                self._record_probe(outcome)
        elif outcome is _SUCCESS and started >= self._opened_at:
            # Sent in panic mode, when every breaker is open.
            self._close()

    def statistics(self) -> BreakerStatistics:
        """A snapshot of the counts."""
        rate = self._rate.statistics()
        return BreakerStatistics(self.state, self._failures, self._times, rate.attempts, rate.ratio)

    def _fail(self) -> None:
        self._failures += 1
        self._rate.failure()
        options = self._options
        if self._failures >= options.failures or self._rate.below(options.success_rate, options.minimum_attempts):
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
        if self.state is _CLOSED and self._opened_at - self._closed_at >= self._options.window:
            self._streak = 0
        self.probe_at = self._opened_at + self._options.backoff.delay(self._streak, self._rng)
        self._streak += 1
        self._times += 1
        self.state = State.OPEN

    def _close(self) -> None:
        self._failures = 0
        # Not `_streak = 0`, as in Finagle: what comes and goes would be tried at full speed each time it comes.
        self._closed_at = self._clock.monotonic()
        self._rate.reset()
        self.probe_at = inf
        self.state = State.CLOSED

    def __repr__(self) -> str:
        rate = self._rate.statistics()
        return (
            f"<Breaker {self.state.name}, {self._failures} consecutive failures, "
            f"{rate.successes} of {rate.attempts} attempts succeeded, opened {self._times} times>"
        )
