"""A `grpc.aio.Channel` whose other end is a simulated server."""
# ruff: noqa: ARG002 - grpc.aio names the parameters.

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc

from libs.testing.simulation.connection import Connection
from libs.testing.simulation.methods import StreamStream, StreamUnary, UnaryStream, UnaryUnary

Q = TypeVar("Q")
R = TypeVar("R")


class SimulatedChannel(grpc.aio.Channel):
    """One connection from a client to one address.

    Serializers, metadata, credentials and compression are ignored, and so is `wait_for_ready`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    async def close(self, grace: float | None = None) -> None:
        """Refuse new calls, and cancel those that have not ended after `grace` seconds."""
        await self._connection.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """READY if somebody listens there and can be reached."""
        del try_to_connect
        if self._connection.closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        if self._connection.ready:
            return grpc.ChannelConnectivity.READY
        return grpc.ChannelConnectivity.TRANSIENT_FAILURE

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the server behaves differently; one that appears only later is not noticed."""
        while self.get_state() is last_observed_state:
            server = self._connection.route.server
            if server is None:
                await self._connection.loop.create_future()
            else:
                await server.changed()

    async def channel_ready(self) -> None:
        """Wait until the server can be reached."""
        while (state := self.get_state()) is not grpc.ChannelConnectivity.READY:
            await self.wait_for_state_change(state)

    async def __aenter__(self) -> Self:
        """Nothing to do."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Q], bytes] | None = None,
        response_deserializer: Callable[[bytes], R] | None = None,
        _registered_method: bool = False,
    ) -> UnaryUnary[Q, R]:
        """A method with one request and one response."""
        return UnaryUnary(self._connection)

    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Q], bytes] | None = None,
        response_deserializer: Callable[[bytes], R] | None = None,
        _registered_method: bool = False,
    ) -> UnaryStream[Q, R]:
        """A method with one request and a stream of responses."""
        return UnaryStream(self._connection)

    def stream_unary(
        self,
        method: str,
        request_serializer: Callable[[Q], bytes] | None = None,
        response_deserializer: Callable[[bytes], R] | None = None,
        _registered_method: bool = False,
    ) -> StreamUnary[Q, R]:
        """A method with a stream of requests and one response."""
        return StreamUnary(self._connection)

    def stream_stream(
        self,
        method: str,
        request_serializer: Callable[[Q], bytes] | None = None,
        response_deserializer: Callable[[bytes], R] | None = None,
        _registered_method: bool = False,
    ) -> StreamStream[Q, R]:
        """A method with a stream of requests and a stream of responses."""
        return StreamStream(self._connection)
