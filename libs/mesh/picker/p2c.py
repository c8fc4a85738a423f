"""The better of two random endpoints.

M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001. Looking at two is
almost as good as looking at all, and clients that know the same do not all run to the same endpoint. Finagle, tower
and linkerd balance in this way.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Generic

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.load.base import Load
from libs.mesh.picker.alias import AliasTable
from libs.mesh.picker.base import E

# Of draws that may miss. Scanning is right but linear, so it is left to sets of which most is to be avoided.
_DRAWS: Final = 16


class P2CPicker(Generic[E]):
    """Draws two endpoints of one snapshot by weight and takes the one that costs less; the first if neither does.

    Costs are not divided by weights: what an endpoint can bear already shows in its cost, and without load the
    shares would otherwise be all or nothing, not the weights'.
    """

    __slots__ = ("_clock", "_draw", "_endpoints", "_even", "_random", "_rng", "_size")

    def __init__(self, endpoints: Sequence[E], clock: Clock, rng: Rng) -> None:
        if not endpoints:
            raise ValueError("a picker needs at least one endpoint")
        self._endpoints: Final = tuple(endpoints)
        self._size: Final = len(self._endpoints)
        self._clock: Final = clock
        self._rng: Final = rng
        self._random: Final = rng.random
        weights = [endpoint.weight for endpoint in self._endpoints]
        self._even: Final = min(weights) == max(weights)
        self._draw: Final = self._draw_evenly if self._even else AliasTable(weights, rng).draw

    def pick(self, avoid: Collection[E] = (), key: str = "") -> E:  # noqa: ARG002 - no affinity here
        """The better of two; of those to be avoided only if there is no other."""
        size = self._size
        if size == 1:
            return self._endpoints[0]
        if avoid:
            return self._pick_avoiding(avoid)
        if self._even:
            first = int(self._random() * size)
            second = int(self._random() * (size - 1))
            if second >= first:
                second += 1
        else:
            first, second = self._draw_two()
        one, other = self._endpoints[first], self._endpoints[second]
        now = self._clock.monotonic()
        return other if other.cost(now) < one.cost(now) else one

    def _draw_evenly(self) -> int:
        return int(self._random() * self._size)

    def _draw_two(self) -> tuple[int, int]:
        first = self._draw()
        for _ in range(_DRAWS):
            second = self._draw()
            if second != first:
                return first, second
        # One endpoint has almost all of the weight; any other will do.
        return first, (first + 1 + int(self._random() * (self._size - 1))) % self._size

    def _pick_avoiding(self, avoid: Collection[E]) -> E:
        found: E | None = None
        for _ in range(_DRAWS):
            drawn = self._endpoints[self._draw()]
            if drawn is found or drawn in avoid:
                continue
            if found is not None:
                now = self._clock.monotonic()
                return drawn if drawn.cost(now) < found.cost(now) else found
            found = drawn
        others = [endpoint for endpoint in self._endpoints if endpoint not in avoid]
        return P2CPicker(others or self._endpoints, self._clock, self._rng).pick()

    def __repr__(self) -> str:
        return f"<P2CPicker over {self._size} endpoints>"


class P2C:
    """Makes pickers that take the better of two; which is better, the measure of load decides.

    Args:
        new_load: makes the measure of one endpoint: `PendingLoad` for least request, or a `PeakEwma`.
        clock: what costs are read at.
        rng: draws.
    """

    __slots__ = ("_clock", "_rng", "new_load")

    def __init__(self, new_load: Callable[[], Load], clock: Clock, rng: Rng) -> None:
        self.new_load: Final = new_load
        self._clock: Final = clock
        self._rng: Final = rng

    def over(self, healthy: Sequence[E], everyone: Sequence[E]) -> P2CPicker[E]:  # noqa: ARG002 - depends on the healthy only
        """A picker over the healthy endpoints."""
        return P2CPicker(healthy, self._clock, self._rng)

    def __repr__(self) -> str:
        return "<P2C>"
