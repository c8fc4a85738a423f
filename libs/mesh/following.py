"""What goes on behind a channel's calls: endpoints come and go, certificates are replaced, old connections end."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

import grpc

from libs.mesh.channel_core import ChannelCore
from libs.mesh.endpoint import Endpoint
from libs.mesh.resolver.base import Resolver
from libs.mesh.tls import ReloadingCredentials

# As long as servers let the calls on an aged connection finish (`max_connection_age_grace`).
_REPLACED_GRACE: Final = 600.0


class Follower:
    """Keeps a channel's endpoints what its resolver and its certificates say.

    Args:
        core: told of every new set.
        resolver: where the sets come from.
        certificates: read again and again, None if there are none in files.
        forget: drops what is bound to an endpoint's connection.
    """

    def __init__(
        self,
        core: ChannelCore,
        resolver: Resolver,
        certificates: ReloadingCredentials | None,
        forget: Callable[[Endpoint], None],
    ) -> None:
        self._core: Final = core
        self._resolver: Final = resolver
        self._certificates: Final = certificates
        self._forget: Final = forget
        self._group: asyncio.TaskGroup | None = None
        self._running: Final[list[asyncio.Task[None]]] = []
        self._retiring: Final[set[Endpoint]] = set()
        self._replaced: Final[set[grpc.aio.Channel]] = set()
        self._closing: Final = asyncio.Event()

    @property
    def needed(self) -> bool:
        """Whether anything can change."""
        return self._resolver.known() is None or self._certificates is not None

    @property
    def started(self) -> bool:
        """Whether somebody follows."""
        return self._group is not None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Follow in `tasks` until `close`."""
        self._group = tasks
        if self._resolver.known() is None:
            self._core.following = True
            self._running.append(tasks.create_task(self._follow(tasks)))
        if self._certificates is not None:
            self._running.append(tasks.create_task(self._certificates.run()))

    def redial(self) -> None:
        """Connect anew to every endpoint; calls in flight end on the old connections."""
        for endpoint in self._core.endpoints:
            replaced = endpoint.hang_up()
            self._forget(endpoint)
            endpoint.connect()
            if replaced is not None and self._group is not None:
                self._replaced.add(replaced)
                self._group.create_task(self._hang_up(replaced))

    async def close(self, endpoints: Collection[Endpoint], grace: float | None) -> None:
        """Stop following and close every connection; calls in flight have `grace` seconds."""
        for task in self._running:
            task.cancel()
        self._closing.set()
        async with asyncio.TaskGroup() as group:
            for endpoint in (*endpoints, *self._retiring):
                group.create_task(endpoint.close(grace))
            for channel in self._replaced:
                group.create_task(channel.close(grace))

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        async for resolved in self._resolver.updates():
            removed = self._core.apply(resolved)
            for endpoint in self._core.endpoints:
                endpoint.connect()
            for endpoint in removed:
                self._forget(endpoint)
                self._retiring.add(endpoint)
                tasks.create_task(self._retire(endpoint))

    async def _retire(self, endpoint: Endpoint) -> None:
        try:
            await endpoint.retire()
        finally:
            self._retiring.discard(endpoint)

    async def _hang_up(self, channel: grpc.aio.Channel) -> None:
        try:
            # Not `channel.close(_REPLACED_GRACE)`: a close that is under way could not be hurried by another one.
            async with asyncio.timeout(_REPLACED_GRACE):
                await self._closing.wait()
        except TimeoutError:
            self._replaced.discard(channel)
            await channel.close(None)
