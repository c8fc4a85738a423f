"""Addresses, servers and zones: what simulated clients dial into."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import grpc

from libs.core.rng import Rng, new_rng
from libs.testing.simulation.behaviour import Behaviour
from libs.testing.simulation.channel import SimulatedChannel
from libs.testing.simulation.connection import Connection, Reply
from libs.testing.simulation.server import Capacity, SimulatedServer


@dataclass(frozen=True, slots=True)
class Distances:
    """Seconds there and back between a client and a server. All of it is spent on the way back.

    Attributes:
        near: within one zone.
        far: between two zones.
    """

    near: float = 0.0005
    far: float = 0.0015

    def __post_init__(self) -> None:
        if not 0 < self.near <= self.far:
            raise ValueError(f"0 < near <= far must hold, got {self.near} and {self.far}")


_ONE_REGION: Final = Distances()
_EMPTY: Final = Reply()


class SimulatedNetwork:
    """Servers by address, and the ways to them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rng: Rng,
        distances: Distances = _ONE_REGION,
        reply: Reply = _EMPTY,
    ) -> None:
        self._loop: Final = loop
        self._rng: Final = rng
        self._distances: Final = distances
        self._reply: Final = reply
        self._servers: Final[dict[str, SimulatedServer]] = {}
        self._cut: Final[set[tuple[str, str]]] = set()

    @property
    def servers(self) -> Mapping[str, SimulatedServer]:
        """Who answers where."""
        return self._servers

    def add(
        self, address: str, behaviour: Behaviour, zone: str = "", capacity: Capacity | None = None
    ) -> SimulatedServer:
        """Put a server at `address`.

        Raises:
            ValueError: somebody is there already.
        """
        if address in self._servers:
            raise ValueError(f"{address} is taken")
        rng = new_rng(self._rng.getrandbits(64))
        server = self._servers[address] = SimulatedServer(self._loop, rng, behaviour, zone, capacity)
        return server

    def dial(self, address: str) -> grpc.aio.Channel:
        """A connection from a client that stands in no zone; nobody has to listen at `address` (yet)."""
        return self._channel("", address)

    def dialer(self, zone: str) -> Callable[[str], grpc.aio.Channel]:
        """What clients in `zone` dial with."""
        return lambda address: self._channel(zone, address)

    def cut(self, one: str, other: str) -> None:
        """Let nothing through between two zones, neither requests nor answers under way."""
        self._cut.update(((one, other), (other, one)))

    def heal(self) -> None:
        """Let everything through again; what was lost stays lost."""
        self._cut.clear()

    def round_trip(self, one: str, other: str) -> float:
        """Seconds there and back between two zones."""
        return self._distances.near if one == other else self._distances.far

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets through between two zones."""
        return bool(self._cut) and (one, other) in self._cut

    def _channel(self, zone: str, address: str) -> grpc.aio.Channel:
        return SimulatedChannel(Connection(self._loop, _Way(self, zone, address), self._reply))

    def __repr__(self) -> str:
        return f"<SimulatedNetwork of {len(self._servers)} servers>"


class _Way:
    """From a zone to an address."""

    __slots__ = ("_address", "_network", "_zone")

    def __init__(self, network: SimulatedNetwork, zone: str, address: str) -> None:
        self._network: Final = network
        self._zone: Final = zone
        self._address: Final = address

    @property
    def server(self) -> SimulatedServer | None:
        return self._network.servers.get(self._address)

    @property
    def round_trip(self) -> float:
        server = self.server
        return self._network.round_trip(self._zone, self._zone if server is None else server.zone)

    @property
    def cut(self) -> bool:
        server = self.server
        return server is not None and self._network.is_cut(self._zone, server.zone)
