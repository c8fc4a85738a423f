"""What every resolver looks like."""

from collections.abc import AsyncIterator
from typing import Protocol


class Resolver(Protocol):
    """Follows the addresses behind one target."""

    @property
    def authority(self) -> str:
        """The name that calls and certificates are about, or empty if each address speaks for itself."""
        ...

    def known(self) -> tuple[str, ...] | None:
        """The addresses, if they are known without asking anyone and never change; else None."""
        ...

    def updates(self) -> AsyncIterator[tuple[str, ...]]:
        """Every set of addresses (`host:port`, sorted, distinct) that differs from the one before, forever.

        An empty set means that there are no endpoints for now. Never raises because of a failed look-up.
        """
        ...
