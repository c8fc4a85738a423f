"""What every picking policy looks like."""

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

from libs.mesh.load.base import Load


class Candidate(Protocol):
    """What a picker knows of an endpoint: nothing of its connection, so that pickers can be tested without one."""

    @property
    def address(self) -> str:
        """`host:port`, unique in its set."""
        ...

    @property
    def zone(self) -> str:
        """Where it runs, empty if unknown."""
        ...

    @property
    def weight(self) -> float:
        """Its share of the traffic relative to the others', above 0."""
        ...

    @property
    def in_flight(self) -> int:
        """Attempts that have not ended."""
        ...

    def cost(self, now: float) -> float:
        """What one more attempt would cost: the load's measure, now and then out of reach while it starts slowly.

        The weight is not in it; pickers that compare costs divide by it or draw by it.
        """
        ...


E = TypeVar("E", bound=Candidate)


class Picker(Protocol[E]):
    """An immutable snapshot of endpoints to choose from."""

    def pick(self, avoid: Collection[E] = (), key: str = "") -> E:
        """The endpoint for the next attempt: synchronous, O(1) plus the length of `avoid`.

        Args:
            avoid: endpoints that already failed this call; one of them is taken only if there is no other.
            key: what calls that belong together have in common, for policies with affinity; empty for none.
        """
        ...


class Policy(Protocol):
    """Makes a picker whenever the set of endpoints or their health changes, and keeps what outlives a snapshot."""

    def over(self, healthy: Sequence[E], everyone: Sequence[E]) -> Picker[E]:
        """A picker over `healthy`, of which there is at least one.

        Args:
            healthy: the endpoints that may be picked; all of `everyone` while the balancer panics.
            everyone: the whole set, for policies whose arrangement should not depend on who is well today.
        """
        ...

    def new_load(self) -> Load:
        """The measure of one endpoint's load that this policy compares."""
        ...
