"""Every endpoint in turn, as often as its weight says."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, count
from typing import Final, Generic

from libs.core.rng import Rng
from libs.mesh.load.base import Load
from libs.mesh.load.pending import PendingLoad
from libs.mesh.picker.base import E

# 2 ** 64 divided by the golden ratio, made odd: Knuth's multiplicative hashing, TAOCP volume 3, section 6.4.
_STEP: Final = 0x9E3779B97F4A7C15
_MASK: Final = 2**64 - 1
# Of turns that may fall on endpoints to be avoided before the others are looked for one by one.
_TURNS: Final = 8


class RoundRobinPicker(Generic[E]):
    """Takes the endpoints of one snapshot one after the other."""

    __slots__ = ("_endpoints", "_size", "_turn")

    def __init__(self, endpoints: Sequence[E], turn: Iterator[int]) -> None:
        if not endpoints:
            raise ValueError("a picker needs at least one endpoint")
        self._endpoints: Final = tuple(endpoints)
        self._size: Final = len(self._endpoints)
        self._turn: Final = turn

    def pick(self, avoid: Collection[E] = (), key: str = "") -> E:  # noqa: ARG002 - no affinity here
        """The next endpoint that is not to be avoided, or else the next one."""
        start = next(self._turn)
        if avoid:
            for offset in range(self._size):
                endpoint = self._endpoints[(start + offset) % self._size]
                if endpoint not in avoid:
                    return endpoint
        return self._endpoints[start % self._size]

    def __repr__(self) -> str:
        return f"<RoundRobinPicker over {self._size} endpoints>"


class WeightedRoundRobinPicker(Generic[E]):
    """Gives the endpoints of one snapshot turns in proportion to their weights, spread evenly over time.

    The endpoints lie side by side on a line, each as long as its weight; turn `n` goes to the one at `n` times the
    golden ratio, modulo the length of the line. Of all ratios this one spreads the points best: after N turns every
    endpoint is within O(log N) turns of its share (Kuipers and Niederreiter, "Uniform Distribution of Sequences",
    chapter 2, theorem 3.4), and its turns are at most three different distances apart (Steinhaus). gRFC A58's static
    stride scheduler has the same aim, but a pick there passes over max weight / mean weight endpoints.
    """

    __slots__ = ("_bounds", "_endpoints", "_scale", "_turn")

    def __init__(self, endpoints: Sequence[E], turn: Iterator[int]) -> None:
        if not endpoints:
            raise ValueError("a picker needs at least one endpoint")
        self._endpoints: Final = tuple(endpoints)
        self._turn: Final = turn
        bounds = list(accumulate(endpoint.weight for endpoint in self._endpoints))
        self._scale: Final = bounds.pop() / 2**64
        self._bounds: Final = bounds

    def pick(self, avoid: Collection[E] = (), key: str = "") -> E:  # noqa: ARG002 - no affinity here
        """The endpoint whose turn it is; one of those to be avoided only if there is no other."""
        taken = self._next()
        if not avoid:
            return taken
        for _ in range(_TURNS):
            if taken not in avoid:
                return taken
            taken = self._next()
        return next((endpoint for endpoint in self._endpoints if endpoint not in avoid), taken)

    def _next(self) -> E:
        point = (next(self._turn) * _STEP & _MASK) * self._scale
        return self._endpoints[bisect_right(self._bounds, point)]

    def __repr__(self) -> str:
        return f"<WeightedRoundRobinPicker over {len(self._endpoints)} endpoints>"


class RoundRobin:
    """Makes round-robin pickers that share one position, so that a new snapshot does not start over.

    Slow start does not show here: turns do not ask for costs.
    """

    __slots__ = ("_turn",)

    def __init__(self, rng: Rng) -> None:
        # A random start keeps a fleet of clients from walking the endpoints in step.
        self._turn: Final = count(rng.getrandbits(16))

    def over(self, healthy: Sequence[E], everyone: Sequence[E]) -> RoundRobinPicker[E] | WeightedRoundRobinPicker[E]:  # noqa: ARG002
        """A picker over the healthy endpoints."""
        if len({endpoint.weight for endpoint in healthy}) > 1:
            return WeightedRoundRobinPicker(healthy, self._turn)
        return RoundRobinPicker(healthy, self._turn)

    def new_load(self) -> Load:
        """What is in flight, for those that ask; turns do not."""
        return PendingLoad()

    def __repr__(self) -> str:
        return "<RoundRobin>"
