"""What makes the calls of a simulated channel."""
# ruff: noqa: ARG002 - grpc.aio names the parameters.

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Generic, TypeVar, cast

import grpc

from libs.testing.simulation.calls import (
    SimulatedStreamStreamCall,
    SimulatedStreamUnaryCall,
    SimulatedUnaryStreamCall,
    SimulatedUnaryUnaryCall,
)
from libs.testing.simulation.connection import Connection

Q = TypeVar("Q")
R = TypeVar("R")
_Metadata = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]
_Requests = AsyncIterator[Q] | Iterator[Q] | None


class UnaryUnary(grpc.aio.UnaryUnaryMultiCallable[Q, R], Generic[Q, R]):
    """One request, one response."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(
        self,
        request: Q,
        *,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> SimulatedUnaryUnaryCall[Q, R]:
        """Send a request."""
        connection = self._connection
        call: SimulatedUnaryUnaryCall[Q, R] = SimulatedUnaryUnaryCall(connection.loop, connection, timeout)
        call.response = cast("R", connection.reply.response)
        connection.open(call)
        connection.send(call)
        return call


class UnaryStream(grpc.aio.UnaryStreamMultiCallable[Q, R], Generic[Q, R]):
    """One request, a stream of responses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(
        self,
        request: Q,
        *,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> SimulatedUnaryStreamCall[Q, R]:
        """Send a request."""
        connection = self._connection
        reply = connection.reply
        call: SimulatedUnaryStreamCall[Q, R] = SimulatedUnaryStreamCall(connection.loop, connection, timeout)
        call.response, call.messages, call.gap = cast("R", reply.response), reply.messages, reply.gap
        connection.open(call)
        connection.send(call)
        return call


class StreamUnary(grpc.aio.StreamUnaryMultiCallable[Q, R], Generic[Q, R]):
    """A stream of requests, one response."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(
        self,
        request_iterator: _Requests[Q] = None,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> SimulatedStreamUnaryCall[Q, R]:
        """Open a stream; it is answered once `done_writing` was called."""
        _only_written(request_iterator)
        connection = self._connection
        call: SimulatedStreamUnaryCall[Q, R] = SimulatedStreamUnaryCall(connection.loop, connection, timeout)
        call.response = cast("R", connection.reply.response)
        call.complete = connection.send
        connection.open(call)
        call.expire()
        return call


class StreamStream(grpc.aio.StreamStreamMultiCallable[Q, R], Generic[Q, R]):
    """A stream of requests, a stream of responses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(
        self,
        request_iterator: _Requests[Q] = None,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> SimulatedStreamStreamCall[Q, R]:
        """Open a stream; it is answered once `done_writing` was called."""
        _only_written(request_iterator)
        connection = self._connection
        reply = connection.reply
        call: SimulatedStreamStreamCall[Q, R] = SimulatedStreamStreamCall(connection.loop, connection, timeout)
        call.response, call.messages, call.gap = cast("R", reply.response), reply.messages, reply.gap
        call.complete = connection.send
        connection.open(call)
        call.expire()
        return call


def _only_written(requests: object) -> None:
    if requests is not None:
        raise NotImplementedError("the simulation takes requests from write(), not from an iterator")
