"""Outlier ejection: an endpoint that does clearly worse than the others is left alone for a while.

Envoy's success-rate detection (Envoy docs, "Outlier detection", sections "Ejection algorithm" and "Success Rate";
`outlier_detection_impl.cc`), also gRFC A50. A breaker holds an endpoint to a fixed standard, this to its peers: it
finds the one that fails 15% of its calls, and keeps still when all of them do, because then it is no endpoint's fault.

Unlike Envoy it needs no timer: whoever balances calls `sweep` when `due_at` has come. `margin` is not Envoy's either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, fsum, inf, sqrt
from typing import Final

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.faults import refuse


@dataclass(frozen=True, slots=True)
class OutlierOptions:
    """When an endpoint is an outlier and for how long it is ejected.

    Attributes:
        interval: seconds between two judgements, above 0.
        base_ejection: seconds of a first ejection, above 0; the n-th in a row takes n times as long.
        max_ejection: seconds that no ejection exceeds before jitter, at least `base_ejection`.
        max_ejected: the share of endpoints that may be ejected at once, in [0, 1]; one always may.
        minimum_hosts: endpoints with enough attempts below which nobody is judged, at least 2.
        minimum_attempts: attempts within an interval below which an endpoint is not judged, at least 1.
        deviations: an outlier's success rate is more than so many standard deviations below the mean; not negative.
        margin: and at least so far below the mean, in [0, 1]; 0 is Envoy's behaviour.
        jitter: the largest share by which an ejection is lengthened at random, so that not all return at once; not
            negative.
    """

    interval: float = 10.0
    base_ejection: float = 30.0
    max_ejection: float = 300.0
    max_ejected: float = 0.10
    # Of n endpoints k equally bad ones are at most sqrt((n - k) / k) deviations below the mean: one of five can be 1.9
    # below it, one of four cannot, and more than a fifth of them are no outliers.
    minimum_hosts: int = 5
    minimum_attempts: int = 100
    deviations: float = 1.9
    # Where all but one succeed always, a single failure of that one is more than 1.9 deviations below the mean.
    margin: float = 0.05
    jitter: float = 0.1

    def __post_init__(self) -> None:
        rules = {
            "interval must be above 0": self.interval > 0,
            "0 < base_ejection <= max_ejection must hold": 0 < self.base_ejection <= self.max_ejection,
            "max_ejected must be in [0, 1]": 0 <= self.max_ejected <= 1,
            "minimum_hosts must be at least 2": self.minimum_hosts >= 2,
            "minimum_attempts must be at least 1": self.minimum_attempts >= 1,
            "deviations must not be negative": self.deviations >= 0,
            "margin must be in [0, 1]": 0 <= self.margin <= 1,
            "jitter must not be negative": self.jitter >= 0,
        }
        refuse("outliers", [rule for rule, holds in rules.items() if not holds])


@dataclass(frozen=True, slots=True)
class OutlierRecordStatistics:
    """A snapshot of one endpoint's record."""

    ejected: bool
    ejections: int
    """How often it was ejected since the record was made."""
    attempts: int
    """Successes and failures in the present interval."""
    success_rate: float
    """The share of `attempts` that succeeded, 1 if there were none."""


class OutlierRecord:
    """How one endpoint does: the balancer counts and reads `ejected`, the detector judges."""

    __slots__ = ("_failures", "_returned_at", "_successes", "ejected", "ejected_until", "ejections", "multiplier")

    def __init__(self) -> None:
        self._successes = 0
        self._failures = 0
        self._returned_at = -inf
        self.ejected = False
        """Whether it should not be picked."""
        self.ejected_until: float = inf
        """The instant (monotonic seconds) of its return; infinite while it is not ejected."""
        self.ejections = 0
        """How often it was ejected since the record was made."""
        self.multiplier = 0
        """Ejections in a row: how many times the base its last ejection took; falls while it does well."""

    def success(self) -> None:
        """An attempt succeeded."""
        self._successes += 1

    def failure(self) -> None:
        """An attempt failed."""
        self._failures += 1

    @property
    def attempts(self) -> int:
        """Successes and failures in the present interval."""
        return self._successes + self._failures

    @property
    def success_rate(self) -> float:
        """The share of `attempts` that succeeded, 1 if there were none."""
        return self._successes / self.attempts if self.attempts else 1.0

    def eject(self, multiplier: int, until: float) -> None:
        """Leave it alone until that instant."""
        self.ejected = True
        self.ejected_until = until
        self.ejections += 1
        self.multiplier = multiplier

    def restore(self, now: float) -> None:
        """Let it be picked again, judged by nothing that was before."""
        self.ejected = False
        self.ejected_until = inf
        self._returned_at = now
        self._successes = self._failures = 0

    def begin_interval(self, now: float, interval: float) -> None:
        """Count afresh; one that did well through a whole interval is a step closer to a first ejection's length."""
        # Envoy forgives with time alone. Without attempts nobody knows how it does, so here it is not forgotten.
        if self.multiplier and not self.ejected and self.attempts and now - self._returned_at >= interval:
            self.multiplier -= 1
        self._successes = self._failures = 0

    def statistics(self) -> OutlierRecordStatistics:
        """A snapshot of the counts."""
        return OutlierRecordStatistics(self.ejected, self.ejections, self.attempts, self.success_rate)

    def __repr__(self) -> str:
        ejected = f", ejected until {self.ejected_until:.1f}" if self.ejected else ""
        return f"<OutlierRecord {self._successes} of {self.attempts} succeeded{ejected}, {self.ejections} ejections>"


@dataclass(frozen=True, slots=True)
class OutlierStatistics:
    """A snapshot of a detector."""

    ejected: int
    """Endpoints that the last sweep left ejected."""
    ejections: int
    """Ejections since the detector was made."""
    spared: int
    """Outliers that were not ejected because enough others were, since the detector was made."""
    threshold: float
    """The success rate below which an endpoint was an outlier at the last judgement; 0 if there was none."""


class OutlierDetector:
    """Judges the endpoints of one channel. Synchronous and without a task: it does nothing until `sweep` is called."""

    __slots__ = (
        "_clock",
        "_ejected",
        "_ejections",
        "_judges_at",
        "_options",
        "_rng",
        "_spared",
        "_threshold",
        "due_at",
    )

    def __init__(self, options: OutlierOptions, clock: Clock, rng: Rng) -> None:
        self._options: Final = options
        self._clock: Final = clock
        self._rng: Final = rng
        self._judges_at = clock.monotonic() + options.interval
        self._ejected = 0
        self._ejections = 0
        self._spared = 0
        self._threshold = 0.0
        self.due_at: float = self._judges_at
        """The instant (monotonic seconds) from which `sweep` has something to do; earlier it would find nothing."""

    def sweep(self, records: Sequence[OutlierRecord]) -> bool:
        """Return whose time has come, and judge if an interval has passed; linear in the number of endpoints.

        After it no more than the permitted share are ejected, even if endpoints were removed meanwhile.

        Args:
            records: of the endpoints in the current set, all of them.

        Returns:
            Whether anybody was ejected or returned.
        """
        now = self._clock.monotonic()
        changed = self._restore(records, now)
        if now >= self._judges_at:
            # Without a pick through a whole interval, what was counted before it is too old to judge by.
            if now < self._judges_at + self._options.interval:
                changed |= self._judge(records, now)
            for record in records:
                record.begin_interval(now, self._options.interval)
            self._judges_at = now + self._options.interval
        self._ejected = sum(record.ejected for record in records)
        self.due_at = min([self._judges_at, *(record.ejected_until for record in records)])
        return changed

    def statistics(self) -> OutlierStatistics:
        """A snapshot of the counts."""
        return OutlierStatistics(self._ejected, self._ejections, self._spared, self._threshold)

    def _room(self, records: Sequence[OutlierRecord]) -> int:
        return max(1, int(self._options.max_ejected * len(records)))

    def _restore(self, records: Sequence[OutlierRecord], now: float) -> bool:
        ejected = sorted((record for record in records if record.ejected), key=lambda record: record.ejected_until)
        excess = len(ejected) - self._room(records)
        returning = [record for at, record in enumerate(ejected) if at < excess or record.ejected_until <= now]
        for record in returning:
            record.restore(now)
        return bool(returning)

    def _judge(self, records: Sequence[OutlierRecord], now: float) -> bool:
        self._threshold = 0.0
        judged = [
            record for record in records if not record.ejected and record.attempts >= self._options.minimum_attempts
        ]
        if len(judged) < self._options.minimum_hosts:
            return False
        rates = [record.success_rate for record in judged]
        mean = fsum(rates) / len(rates)
        deviation = sqrt(fsum((rate - mean) ** 2 for rate in rates) / len(rates))
        self._threshold = max(0.0, mean - max(self._options.deviations * deviation, self._options.margin))
        # The worst first: there may not be room for all.
        outliers = [record for record in judged if record.success_rate < self._threshold]
        outliers.sort(key=lambda record: record.success_rate)
        room = max(0, self._room(records) - sum(record.ejected for record in records))
        for record in outliers[:room]:
            self._eject(record, now)
        self._spared += len(outliers[room:])
        return bool(outliers[:room])

    def _eject(self, record: OutlierRecord, now: float) -> None:
        options = self._options
        # More than that many would make no ejection longer, but forgiving slower.
        multiplier = min(record.multiplier + 1, ceil(options.max_ejection / options.base_ejection))
        seconds = min(options.base_ejection * multiplier, options.max_ejection)
        record.eject(multiplier, now + seconds * self._rng.uniform(1, 1 + options.jitter))
        self._ejections += 1

    def __repr__(self) -> str:
        counts = self.statistics()
        return f"<OutlierDetector {counts.ejected} ejected, {counts.ejections} ejections, {counts.spared} spared>"
