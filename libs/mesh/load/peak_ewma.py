"""Load as latency times queue: Finagle's peak EWMA.

The moving average follows Finagle's `PeakEwma` (`Balancers.p2cPeakEwma`) and tower's `load::peak_ewma`: it rises at
once to a peak and forgets it exponentially, so that a slow endpoint is left at its first slow answer, not at its
tenth. That a failure counts as a slow answer, so that failing fast does not pay, is linkerd2-proxy's. A first attempt
that has not been answered weighs more than anything else, as in Finagle: a cold endpoint is not flooded.

Other than linkerd, a failure is remembered apart from the latency. 5 s in an average that takes 10 s to forget keep an
endpoint that answers in 10 ms unused for a minute after a single failure. Here the first is forgotten within seconds,
and each one that follows takes twice as long.
"""

from dataclasses import dataclass
from math import exp, inf
from typing import Final

from libs.mesh.breaker import Outcome

# An enum's member costs twice a global.
_SUCCESS: Final = Outcome.SUCCESS
# Below it endpoints that nobody measured for long are told apart by what is in flight only; costs stay above 0.
_FLOOR: Final = 1e-6
# Times the decay after which a failure no longer makes the next one weigh more: longer than it keeps an endpoint away.
_REMEMBERED: Final = 10.0
# Seconds within which failures have one cause: streams that break together began at different times.
_TOGETHER: Final = 1.0
# Seconds, a billion of the floor: above 5 s of latency with a hundred thousand attempts in flight.
_UNANSWERED: Final = 1e6


@dataclass(frozen=True, slots=True)
class PeakEwmaOptions:
    """How fast latencies are forgotten, and what counts when there is none.

    Attributes:
        decay: seconds after which a peak has fallen to 1/e (37%), above 0.
        seed: seconds that an endpoint is taken to need until it has answered, not negative. With 0, as in Finagle, it
            gets the first call that draws it and is measured at once; with linkerd's 0.030 it waits for its turn
            beside quicker ones, for up to `decay * ln(seed / their latency)` seconds.
        failure_penalty: seconds that a failure adds, not negative.
        penalty_fade: seconds after which a first failure's penalty has fallen to 1/e, above 0; twice as long after
            each failure that follows within ten times `decay`, but no longer than `decay`.
    """

    decay: float = 10.0
    seed: float = 0.0
    failure_penalty: float = 5.0
    penalty_fade: float = 1.0

    def __post_init__(self) -> None:
        if not self.decay > 0:
            raise ValueError(f"decay must be above 0, got {self.decay}")
        if not self.seed >= 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not self.penalty_fade > 0:
            raise ValueError(f"penalty_fade must be above 0, got {self.penalty_fade}")
        if not self.failure_penalty >= 0:
            raise ValueError(f"failure_penalty must not be negative, got {self.failure_penalty}")


@dataclass(frozen=True, slots=True)
class PeakEwmaStatistics:
    """A snapshot of one endpoint's measure."""

    estimate: float
    """Seconds that one attempt is taken to need."""
    measured: bool
    """Whether the estimate comes from attempts; otherwise from the seed."""


class PeakEwma:
    """The peak-sensitive moving average of one endpoint's latency.

    What nobody confirms fades: the estimate also falls while nothing is observed, down to almost nothing, so that an
    endpoint that was slow is tried again after `decay * ln(its estimate / the others')` seconds. So does the
    seed: an endpoint that joins quicker ones gets its first call at last.
    """

    __slots__ = (
        "_asked_at",
        "_decay",
        "_estimate",
        "_fade",
        "_failed_at",
        "_measured",
        "_options",
        "_penalty",
        "_punished_at",
        "_stamp",
        "_streak",
    )

    def __init__(self, options: PeakEwmaOptions) -> None:
        self._options: Final = options
        self._decay: Final = options.decay
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next answer counts as the first."""
        options = self._options
        # What was left of failures when it was last changed, in seconds, and how fast it fades from there.
        self._penalty = 0.0
        self._punished_at = -inf
        self._failed_at = -inf
        self._fade = options.penalty_fade
        self._streak = 0
        self._estimate = options.seed
        self._measured = False
        # When the estimate was true; None until somebody tells the time.
        self._stamp: float | None = None
        # Since when the first attempt has been in flight, as far as was seen.
        self._asked_at: float | None = None

    def observe(self, seconds: float, outcome: Outcome, now: float) -> None:
        """Take note of a response.

        A success counts as it is; the first replaces the seed. Of any other outcome only a lower bound of the latency
        is known, so it counts only if it is longer than the estimate. A failure adds the penalty, or the estimate if
        that is more.

        Args:
            seconds: how long it took.
            outcome: what it says about the endpoint.
            now: the instant, on the scale of `cost`.
        """
        if outcome is Outcome.FAILURE:
            # As it stood: a slow endpoint must not look quick because it fails instead of answering.
            self._set(max(seconds, self._estimate), now)
            self._punish(now - seconds, now)
            return
        if outcome is not _SUCCESS:
            if seconds > self._present(now):
                self._set(seconds, now)
            return
        if self._penalty:
            self._forgive(now)
        if self._stamp is None or not self._measured or seconds >= self._estimate:
            self._set(seconds, now)
            return
        kept = exp(min(0.0, self._stamp - now) / self._decay)
        self._set(self._estimate * kept + seconds * (1.0 - kept), now)

    def cost(self, in_flight: int, now: float) -> float:
        """Seconds until one more attempt would be answered, were they answered one after the other.

        Args:
            in_flight: attempts that have not ended. If the endpoint has never answered and there are some, the cost
                is higher than any latency.
            now: the instant, on the scale of `observe`.
        """
        if not self._measured:
            return self._unmeasured(in_flight, now)
        # `_present` again: this is the path of every pick.
        idle = now - self._stamp  # type: ignore[operator]  # set with the first measure
        if self._penalty:
            return (self._present(now) + self._left(now)) * (in_flight + 1)
        if idle <= 0.0:
            return self._estimate * (in_flight + 1)
        present = self._estimate * exp(-idle / self._decay)
        return (present if present > _FLOOR else _FLOOR) * (in_flight + 1)  # noqa: FURB136 - max() takes twice as long

    def statistics(self, now: float) -> PeakEwmaStatistics:
        """A snapshot at this instant."""
        return PeakEwmaStatistics(self._present(now), self._measured)

    def _set(self, estimate: float, now: float) -> None:
        self._estimate = max(estimate, _FLOOR)
        self._stamp = now
        self._measured = True

    def _present(self, now: float) -> float:
        if self._stamp is None:
            self._stamp = now
        return max(_FLOOR, self._estimate * exp(min(0.0, self._stamp - now) / self._decay))

    def _punish(self, began: float, now: float) -> None:
        options = self._options
        # What was under way when the last one failed is the same misfortune, however many fail together.
        if began > self._failed_at and now - self._failed_at > _TOGETHER:
            self._streak = self._streak + 1 if now - self._failed_at < options.decay * _REMEMBERED else 1
            self._fade = min(options.decay, options.penalty_fade * 2.0 ** min(self._streak - 1, 16))
        self._penalty = max(options.failure_penalty, self._estimate)
        self._failed_at = self._punished_at = now

    def _forgive(self, now: float) -> None:
        # The number of failures stays: what comes and goes would otherwise be forgiven each time it comes.
        left = self._left(now) / 2
        self._penalty = left if left > _FLOOR else 0.0
        self._punished_at = now

    def _left(self, now: float) -> float:
        return self._penalty * exp(min(0.0, self._punished_at - now) / self._fade)

    def _unmeasured(self, in_flight: int, now: float) -> float:
        present = self._present(now)
        if not in_flight:
            self._asked_at = None
            return present + self._left(now)
        if self._asked_at is None:
            self._asked_at = now
        # This fades too: the first attempt may be a stream that says nothing for hours.
        return (present + _UNANSWERED * exp(min(0.0, self._asked_at - now) / self._decay)) * (in_flight + 1)

    def __repr__(self) -> str:
        return f"<PeakEwma {'measured' if self._measured else 'seeded'} {self._estimate * 1000:.1f} ms>"
