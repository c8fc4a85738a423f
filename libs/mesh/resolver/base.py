"""What every resolver looks like."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class ResolvedEndpoint:
    """One address behind a target.

    Attributes:
        address: `host:port`, unique in its set.
        zone: where it runs, empty if nobody says.
        weight: its share of the traffic relative to the others', above 0.
    """

    address: str
    zone: str = ""
    weight: float = 1.0


ResolvedSet = tuple[ResolvedEndpoint, ...]
"""Sorted, each address once."""


class Resolver(Protocol):
    """Follows the addresses behind one target."""

    @property
    def authority(self) -> str:
        """The name that calls and certificates are about, or empty if each address speaks for itself."""
        ...

    def known(self) -> ResolvedSet | None:
        """The endpoints, if they are known without asking anyone and never change; else None."""
        ...

    def updates(self) -> AsyncIterator[ResolvedSet]:
        """Every set of endpoints that differs from the one before, forever.

        An empty set means that there are none for now. Never raises because of a failed look-up.
        """
        ...
