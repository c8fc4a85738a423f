"""Every endpoint in turn."""

from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import Final, Generic, TypeVar

from libs.core.rng import Rng

E = TypeVar("E")


class RoundRobinPicker(Generic[E]):
    """Takes the endpoints of one snapshot in turn."""

    __slots__ = ("_endpoints", "_size", "_turn")

    def __init__(self, endpoints: Sequence[E], turn: Iterator[int]) -> None:
        if not endpoints:
            raise ValueError("a picker needs at least one endpoint")
        self._endpoints: Final = tuple(endpoints)
        self._size: Final = len(self._endpoints)
        self._turn: Final = turn

    def pick(self, avoid: Collection[E] = ()) -> E:
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


class RoundRobin(Generic[E]):
    """Makes round-robin pickers that share one position, so that a new snapshot does not start over."""

    __slots__ = ("_turn",)

    def __init__(self, rng: Rng) -> None:
        # A random start keeps a fleet of clients from walking the endpoints in step.
        self._turn: Final = count(rng.getrandbits(16))

    def over(self, endpoints: Sequence[E]) -> RoundRobinPicker[E]:
        """A picker over these endpoints."""
        return RoundRobinPicker(endpoints, self._turn)
