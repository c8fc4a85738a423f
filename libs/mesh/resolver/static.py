"""`static:///a:1,b:2`: the endpoints are in the target, with their zones and weights if need be."""

from collections.abc import AsyncIterator
from typing import Final

from libs.mesh.resolver.base import ResolvedSet
from libs.mesh.target import StaticTarget


class StaticResolver:
    """Knows the endpoints from the start."""

    def __init__(self, target: StaticTarget) -> None:
        self._endpoints: Final = tuple(sorted(target.endpoints))

    @property
    def authority(self) -> str:
        """Empty: each address speaks for itself."""
        return ""

    def known(self) -> ResolvedSet:
        """The endpoints."""
        return self._endpoints

    async def updates(self) -> AsyncIterator[ResolvedSet]:
        """The endpoints, once."""
        yield self._endpoints

    def __repr__(self) -> str:
        return f"<StaticResolver {', '.join(each.address for each in self._endpoints)}>"
