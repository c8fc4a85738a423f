"""An endpoint that has just started gets its share little by little.

Envoy's slow start mode: `max(min_weight, (time / window) ** (1 / aggression))` is the part of its weight that an
endpoint has `time` seconds after it joined. Caches are cold, code is not compiled, connections are not there yet.
"""

import math
from dataclasses import dataclass
from typing import Final

from libs.core.rng import Rng


@dataclass(frozen=True, slots=True)
class SlowStartOptions:
    """How an endpoint's share grows.

    Attributes:
        window: seconds until it has all of it; 0 for at once.
        aggression: above 1 it grows faster at first, below 1 slower; 1 is linear. Above 0.
        min_weight: the part that it starts with, in (0, 1].
    """

    window: float = 30.0
    aggression: float = 1.0
    min_weight: float = 0.1

    def __post_init__(self) -> None:
        if not self.window >= 0:
            raise ValueError(f"window must not be negative, got {self.window}")
        if not self.aggression > 0:
            raise ValueError(f"aggression must be above 0, got {self.aggression}")
        if not 0 < self.min_weight <= 1:
            raise ValueError(f"min_weight must be in (0, 1], got {self.min_weight}")


class SlowStart:
    """The ramp of one endpoint. Stands at 1 until `begin`.

    Args:
        options: how it rises.
        rng: decides which picks the endpoint takes part in.
    """

    __slots__ = ("_begun", "_end", "_exponent", "_options", "_rng")

    def __init__(self, options: SlowStartOptions, rng: Rng) -> None:
        self._options: Final = options
        self._rng: Final = rng
        self._exponent: Final = 1.0 / options.aggression
        self._begun = -math.inf
        self._end = -math.inf

    def begin(self, now: float) -> None:
        """Start over: the endpoint joined a set that is in use, or its breaker closed again.

        Args:
            now: the instant, on the scale of `ramp`.
        """
        self._begun = now
        self._end = now + self._options.window

    def ramp(self, now: float) -> float:
        """The part of its share that the endpoint has by now, in [min_weight, 1]."""
        if now >= self._end:
            return 1.0
        elapsed = max(0.0, now - self._begun) / self._options.window
        return max(self._options.min_weight, min(1.0, math.pow(elapsed, self._exponent)))

    def admits(self, now: float) -> bool:
        """Whether the endpoint takes part in this pick: as often as its part of its share is.

        Raising its cost instead would keep it out of every pick: the better of two is not one tenth as likely to win if
        it costs ten times as much, it never wins.
        """
        return now >= self._end or self._rng.random() < self.ramp(now)

    def __repr__(self) -> str:
        return f"<SlowStart from {self._begun:.3f} to {self._end:.3f}>"
