"""How long the simulated model takes."""

import math
from dataclasses import dataclass

from libs.core.rng import Rng


@dataclass(frozen=True, slots=True)
class Pace:
    """One call's speed, in seconds."""

    first_token: float
    per_token: float

    def due(self, token: int) -> float:
        """Seconds after the call's start when token number `token` (from 0) is there."""
        return self.first_token + token * self.per_token

    def arrived(self, elapsed: float, tokens: int) -> int:
        """How many of `tokens` tokens are there `elapsed` seconds after the call's start."""
        # The nanosecond forgives rounding: whoever slept until a token was due finds it.
        since_first = elapsed - self.first_token + 1e-9
        if since_first < 0:
            return 0
        if since_first >= (tokens - 1) * self.per_token:
            return tokens
        return int(since_first / self.per_token) + 1

    def finished(self, tokens: int) -> float:
        """Seconds after the call's start when an answer of `tokens` tokens is complete."""
        return self.due(max(0, tokens - 1))


class Latency:
    """Draws the time to the first token from a log-normal distribution; the rest comes at an even pace."""

    __slots__ = ("_median", "_per_token", "_rng", "_sigma")

    def __init__(self, median_ms: float, sigma: float, per_token_ms: float, rng: Rng) -> None:
        """`sigma` is that of the logarithm: 0 gives the median always; with 0.5, p95 is 2.3 medians."""
        self._median = median_ms / 1000.0
        self._sigma = sigma
        self._per_token = per_token_ms / 1000.0
        self._rng = rng

    def draw(self) -> Pace:
        """The pace of the next call."""
        if not self._median or not self._sigma:
            return Pace(self._median, self._per_token)
        # Box-Muller; 1 - random() keeps the logarithm's argument above zero.
        radius = math.sqrt(-2.0 * math.log(1.0 - self._rng.random()))
        normal = radius * math.cos(2.0 * math.pi * self._rng.random())
        return Pace(self._median * math.exp(self._sigma * normal), self._per_token)
