"""Load as latency times queue: Finagle's peak EWMA.

The moving average follows Finagle's `PeakEwma` (`Balancers.p2cPeakEwma`) and tower's `load::peak_ewma`: it rises at
once to a peak and forgets it exponentially, so that a slow endpoint is left at its first slow answer, not at its
tenth. That a failure counts as a slow answer, so that failing fast does not pay, is linkerd2-proxy's. A first attempt
that has not been answered weighs more than anything else, as in Finagle: a cold endpoint is not flooded.
"""

from dataclasses import dataclass
from math import exp
from typing import Final

from libs.mesh.breaker import Outcome

# Below it endpoints that nobody measured for long are told apart by what is in flight only; costs stay above 0.
_FLOOR: Final = 1e-6
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
        failure_penalty: seconds that a failure counts as, if it took less and the endpoint is not slower anyway.
    """

    decay: float = 10.0
    seed: float = 0.0
    failure_penalty: float = 5.0

    def __post_init__(self) -> None:
        if not self.decay > 0:
            raise ValueError(f"decay must be above 0, got {self.decay}")
        if not self.seed >= 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
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
    endpoint that was slow or failed is tried again after `decay * ln(its estimate / the others')` seconds. So does the
    seed: an endpoint that joins quicker ones gets its first call at last.
    """

    __slots__ = ("_asked_at", "_decay", "_estimate", "_measured", "_penalty", "_stamp")

    def __init__(self, options: PeakEwmaOptions) -> None:
        self._decay: Final = options.decay
        self._penalty: Final = options.failure_penalty
        self._estimate = options.seed
        self._measured = False
        # When the estimate was true; None until somebody tells the time.
        self._stamp: float | None = None
        # Since when the first attempt has been in flight, as far as was seen.
        self._asked_at: float | None = None

    def observe(self, seconds: float, outcome: Outcome, now: float) -> None:
        """Take note of a response.

        A success counts as it is; the first replaces the seed. A failure counts as the penalty or longer, and never
        makes a slow endpoint look quicker. Of a NEUTRAL outcome only a lower bound is known, so it counts only if it
        is longer than the present estimate.

        Args:
            seconds: how long it took.
            outcome: what it says about the endpoint.
            now: the instant, on the scale of `cost`.
        """
        if outcome is Outcome.NEUTRAL:
            if seconds > self._present(now):
                self._set(seconds, now)
            return
        if outcome is Outcome.FAILURE:
            seconds = max(seconds, self._penalty, self._estimate)
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

    def _unmeasured(self, in_flight: int, now: float) -> float:
        present = self._present(now)
        if not in_flight:
            self._asked_at = None
            return present
        if self._asked_at is None:
            self._asked_at = now
        # This fades too: the first attempt may be a stream that says nothing for hours.
        return (present + _UNANSWERED * exp(min(0.0, self._asked_at - now) / self._decay)) * (in_flight + 1)

    def __repr__(self) -> str:
        return f"<PeakEwma {'measured' if self._measured else 'seeded'} {self._estimate * 1000:.1f} ms>"
