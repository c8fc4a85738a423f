"""The four kinds of simulated calls: what they add to `SimulatedCall` is how messages are sent and received."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from typing import Generic, TypeVar, cast

import grpc

from libs.testing.simulation.call import SimulatedCall

Q = TypeVar("Q")
R = TypeVar("R")


class _OneResponse(SimulatedCall, Generic[R]):
    response: R

    def __await__(self) -> Generator[None, None, R]:
        """Wait for the response; whoever gives up waiting gives up the call."""
        try:
            while self._code is None:
                yield from cast("Generator[None, None, None]", self._changed().__await__())
        except asyncio.CancelledError:
            self.cancel()
            raise
        self._raise_unless_ok()
        return self.response


class _ManyResponses(SimulatedCall, Generic[R]):
    response: R
    messages = 1
    """Responses still to come."""
    gap = 0.0
    """Seconds between two of them."""
    _unread = 0

    def _arrive(self, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str], ...]) -> None:
        if code is not grpc.StatusCode.OK or not self.messages or self._link.cut:
            super()._arrive(code, details, trailing)
            return
        self.messages -= 1
        self._unread += 1
        self._wake()
        self._arrive_at(self._loop.time() + (self.gap if self.messages else 0.0), code, details, trailing)

    def __aiter__(self) -> AsyncIterator[R]:
        """The responses that are still to be read."""
        return self._responses()

    async def _responses(self) -> AsyncIterator[R]:
        while (response := await self.read()) is not grpc.aio.EOF:
            yield cast("R", response)

    async def read(self) -> R | object:
        """The next response, or `grpc.aio.EOF`; whoever gives up waiting gives up the call."""
        try:
            while not self._unread and self._code is None:
                await self._changed()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self._unread:
            self._unread -= 1
            return self.response
        self._raise_unless_ok()
        return grpc.aio.EOF


class _ManyRequests(SimulatedCall, Generic[Q]):
    complete: Callable[[SimulatedCall], None] | None = None
    """Told when there are no more requests."""
    written = 0
    """Requests written."""

    async def write(self, request: Q) -> None:
        """Count it; raises as grpc.aio does if the call has ended."""
        del request
        if self._code is not None:
            self._raise_unless_ok()
            raise asyncio.InvalidStateError("RPC already finished.")
        self.written += 1

    async def done_writing(self) -> None:
        """Let the server answer."""
        complete, self.complete = self.complete, None
        if complete is not None and self._code is None:
            complete(self)


class SimulatedUnaryUnaryCall(_OneResponse[R], grpc.aio.UnaryUnaryCall[Q, R], Generic[Q, R]):
    """One request, one response."""


class SimulatedUnaryStreamCall(_ManyResponses[R], grpc.aio.UnaryStreamCall[Q, R], Generic[Q, R]):
    """One request, a stream of responses."""


class SimulatedStreamUnaryCall(_ManyRequests[Q], _OneResponse[R], grpc.aio.StreamUnaryCall[Q, R], Generic[Q, R]):
    """A stream of requests, one response."""


class SimulatedStreamStreamCall(_ManyRequests[Q], _ManyResponses[R], grpc.aio.StreamStreamCall[Q, R], Generic[Q, R]):
    """A stream of requests, a stream of responses."""
