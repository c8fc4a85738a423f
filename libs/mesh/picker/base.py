"""What every picking policy looks like."""

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

E = TypeVar("E")


class Picker(Protocol[E]):
    """An immutable snapshot of endpoints to choose from."""

    def pick(self, avoid: Collection[E] = ()) -> E:
        """The endpoint for the next attempt: synchronous, O(1) plus the length of `avoid`.

        Args:
            avoid: endpoints that already failed this call; one of them is taken only if there is no other.
        """
        ...


class Policy(Protocol[E]):
    """Makes a picker whenever the set of endpoints changes, and keeps what must outlive a snapshot."""

    def over(self, endpoints: Sequence[E]) -> Picker[E]:
        """A picker over these endpoints, of which there is at least one."""
        ...
