"""A resolver whose answers a scenario changes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from libs.core.clock import Clock
from libs.mesh.resolver.base import ResolvedEndpoint, ResolvedSet


class Registry:
    """The endpoints behind a simulated name; each channel follows them through a `SimulatedResolver`."""

    def __init__(self, endpoints: Iterable[ResolvedEndpoint] = ()) -> None:
        self._endpoints: ResolvedSet = tuple(sorted(endpoints))
        self._changed = asyncio.Event()

    @property
    def endpoints(self) -> ResolvedSet:
        """The present set, sorted."""
        return self._endpoints

    def set(self, endpoints: Iterable[ResolvedEndpoint]) -> None:
        """Have every follower see another set."""
        self._endpoints = tuple(sorted(endpoints))
        self._changed.set()
        self._changed = asyncio.Event()

    def add(self, endpoint: ResolvedEndpoint) -> None:
        """Have every follower see one more."""
        self.set((*self._endpoints, endpoint))

    def remove(self, address: str) -> None:
        """Have every follower see one less."""
        self.set(endpoint for endpoint in self._endpoints if endpoint.address != address)

    async def change(self) -> None:
        """Wait until the set changes."""
        await self._changed.wait()


class SimulatedResolver:
    """Follows a registry, some time behind it."""

    def __init__(self, registry: Registry, clock: Clock, lag: float = 0.0) -> None:
        """Make a follower.

        Args:
            registry: what is followed.
            clock: the simulation's.
            lag: seconds between a change and its being seen; changes in between are seen as one.
        """
        self._registry: Final = registry
        self._clock: Final = clock
        self._lag: Final = lag

    @property
    def authority(self) -> str:
        """Empty: each address speaks for itself."""
        return ""

    def known(self) -> ResolvedSet | None:
        """Nothing: the set may change."""
        return None

    async def updates(self) -> AsyncIterator[ResolvedSet]:
        """Every set that differs from the one before."""
        seen: ResolvedSet | None = None
        while True:
            endpoints = self._registry.endpoints
            if endpoints != seen:
                seen = endpoints
                yield endpoints
            else:
                await self._registry.change()
                if self._lag:
                    await self._clock.sleep(self._lag)
