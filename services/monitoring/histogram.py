"""Durations counted in geometric buckets, so that quantiles of any number of replicas and slices can be merged.

The bucket widths grow by a constant factor, which bounds the *relative* error everywhere, as in DDSketch
(Masson, Rim and Lee, VLDB 2019): a value is represented by the geometric middle of its bucket, at most
sqrt(1.05) - 1 = 2.5 % away from it.
"""

import math
from dataclasses import dataclass, field
from typing import Final

GROWTH: Final = 1.05
"""Each bucket ends 5 % above its beginning."""
LOWEST_MS: Final = 0.01
"""The first bucket begins here and takes everything below: no call over a network is faster."""
HIGHEST_MS: Final = 24 * 3_600_000.0
"""Longer durations count as this one."""

_LOG_GROWTH: Final = math.log(GROWTH)


def bucket_of(duration_ms: float) -> int:
    """The number of the bucket that holds the duration, from 0."""
    if duration_ms <= LOWEST_MS:
        return 0
    return int(math.log(min(duration_ms, HIGHEST_MS) / LOWEST_MS) / _LOG_GROWTH)


def middle_of(bucket: int) -> float:
    """The geometric middle of the bucket, in milliseconds."""
    return LOWEST_MS * math.exp(_LOG_GROWTH * (bucket + 0.5))


@dataclass(slots=True)
class Histogram:
    """How many durations fell into which bucket."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, duration_ms: float) -> None:
        """Count one duration."""
        self.add_to(bucket_of(duration_ms), 1)

    def add_to(self, bucket: int, count: int) -> None:
        """Count `count` durations of one bucket."""
        self.counts[bucket] = self.counts.get(bucket, 0) + count

    def merge(self, other: "Histogram") -> None:
        """Add all that `other` has counted."""
        for bucket, count in other.counts.items():
            self.add_to(bucket, count)

    def quantile(self, q: float) -> float:
        """The duration in milliseconds that a share `q` (0 to 1) did not exceed, within 5 %; 0 if none was counted.

        The nearest rank is meant: the smallest duration with at least `q` of all at or below it.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile lies in [0, 1], got {q}")
        rank = max(1, math.ceil(q * sum(self.counts.values())))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return middle_of(bucket)
        return 0.0
