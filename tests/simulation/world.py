"""A simulated fleet and its clients, each with a real `MeshChannel`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import grpc

from libs.core.rng import new_rng
from libs.mesh.channel import MeshChannel
from libs.mesh.options import MeshOptions
from libs.mesh.resolver.base import ResolvedEndpoint
from libs.testing.simulation.behaviour import Behaviour
from libs.testing.simulation.network import SimulatedNetwork
from libs.testing.simulation.registry import Registry, SimulatedResolver
from libs.testing.simulation.server import Capacity, SimulatedServer
from libs.testing.simulation.workload import Recording, Workload, offer
from libs.testing.virtual_loop import LoopClock

_METHOD: Final = "/simulated.Service/Method"


@dataclass(frozen=True, slots=True)
class Client:
    """A channel and the one method that is called through it."""

    channel: MeshChannel
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

    def call(self, timeout: float) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
        """Make a call."""
        return self.method(b"", timeout=timeout)


class World:
    """Everything that one run of a scenario consists of; to be made inside the virtual loop."""

    def __init__(self, seed: int, lag: float = 0.0) -> None:
        """Make a world.

        Args:
            seed: decides everything that is random.
            lag: seconds until clients see a change of the set of backends.
        """
        loop = asyncio.get_running_loop()
        self._rng: Final = new_rng(seed)
        self._lag: Final = lag
        self.clock: Final = LoopClock(loop)
        self.network: Final = SimulatedNetwork(loop, new_rng(self._rng.getrandbits(64)))
        self.registry: Final = Registry()

    @property
    def servers(self) -> Mapping[str, SimulatedServer]:
        """The backends by address, those that are gone included."""
        return self.network.servers

    def add(self, name: str, behaviour: Behaviour, zone: str = "", capacity: Capacity | None = None) -> SimulatedServer:
        """Start a backend and have the clients see it."""
        server = self.network.add(name, behaviour, zone, capacity)
        self.registry.add(ResolvedEndpoint(name, zone))
        return server

    @asynccontextmanager
    async def clients(self, count: int, options: MeshOptions, zone: str = "") -> AsyncIterator[list[Client]]:
        """Clients with a channel each, closed at the end."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self._channel(options, zone)) for _ in range(count)]

    async def offer(self, workload: Workload, clients: list[Client]) -> Recording:
        """Have the clients make calls until the workload is over."""
        return await offer(workload, [client.call for client in clients], new_rng(self._rng.getrandbits(64)))

    @asynccontextmanager
    async def _channel(self, options: MeshOptions, zone: str) -> AsyncIterator[Client]:
        async with MeshChannel(
            "static:///replaced:1",
            options,
            clock=self.clock,
            rng=new_rng(self._rng.getrandbits(64)),
            resolver=SimulatedResolver(self.registry, self.clock, self._lag),
            dial=self.network.dialer(zone),
        ) as channel:
            yield Client(channel, channel.unary_unary(_METHOD))

    def requests(self) -> dict[str, int]:
        """How many requests every backend has had."""
        return {address: server.statistics().requests for address, server in self.servers.items()}
