"""One client's connection to one address: what its calls travel over."""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

import grpc

from libs.testing.simulation.call import SimulatedCall
from libs.testing.simulation.server import SimulatedServer


class Route(Protocol):
    """Where an address leads at present."""

    @property
    def server(self) -> SimulatedServer | None:
        """Who answers there, None for nobody."""
        ...

    @property
    def round_trip(self) -> float:
        """Seconds there and back."""
        ...

    @property
    def cut(self) -> bool:
        """Whether nothing gets through."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What every OK answer consists of.

    Attributes:
        response: the message; nothing is serialised.
        messages: how many of them a stream has.
        gap: seconds between two of a stream.
    """

    response: object = b""
    messages: int = 3
    gap: float = 0.01


class Connection:
    """The calls under way between a client and an address. Connecting takes no time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, route: Route, reply: Reply) -> None:
        self.loop: Final = loop
        self.route: Final = route
        self.reply: Final = reply
        self.closed = False
        # A dictionary stands for an ordered set, so that closing is deterministic.
        self._open: Final[dict[SimulatedCall, SimulatedServer | None]] = {}
        self._idle: Final = asyncio.Event()

    @property
    def round_trip(self) -> float:
        """Seconds there and back."""
        return self.route.round_trip

    @property
    def cut(self) -> bool:
        """Whether nothing gets through at present."""
        return self.route.cut

    @property
    def ready(self) -> bool:
        """Whether somebody listens at the other end and can be reached."""
        server = self.route.server
        return server is not None and server.behaviour.connected and not self.route.cut

    def open(self, call: SimulatedCall) -> None:
        """A call begins; it expires unless it is sent and answered."""
        if self.closed:
            raise grpc.aio.UsageError("Channel is closed.")
        self._open[call] = None

    def send(self, call: SimulatedCall) -> None:
        """Bring a call's request to the server."""
        server = self.route.server
        if self.route.cut:
            call.expire()
        elif server is None:
            call.answer_in(0.0, grpc.StatusCode.UNAVAILABLE, "nobody listens there")
        else:
            self._open[call] = server
            server.receive(call)

    def released(self, call: SimulatedCall, code: grpc.StatusCode) -> None:
        """A call has ended."""
        server = self._open.pop(call, None)
        if server is not None:
            server.released(call, code)
        if not self._open:
            self._idle.set()

    async def close(self, grace: float | None) -> None:
        """Refuse new calls, and cancel those that have not ended after `grace` seconds."""
        self.closed = True
        if self._open and grace:
            self._idle.clear()
            try:
                async with asyncio.timeout(grace):
                    await self._idle.wait()
            except TimeoutError:
                pass  # What is left is cancelled.
        for call in tuple(self._open):
            call.cancel()

    def __repr__(self) -> str:
        return f"<Connection {'closed' if self.closed else 'open'}, {len(self._open)} calls>"
