"""`static:///a:1,b:2`: the addresses are in the target."""

from collections.abc import AsyncIterator
from typing import Final

from libs.mesh.target import Target


class StaticResolver:
    """Knows the addresses from the start."""

    def __init__(self, target: Target) -> None:
        self._addresses: Final = tuple(sorted(map(str, target.addresses)))

    @property
    def authority(self) -> str:
        """Empty: each address speaks for itself."""
        return ""

    def known(self) -> tuple[str, ...]:
        """The addresses."""
        return self._addresses

    async def updates(self) -> AsyncIterator[tuple[str, ...]]:
        """The addresses, once."""
        yield self._addresses

    def __repr__(self) -> str:
        return f"<StaticResolver {', '.join(self._addresses)}>"
