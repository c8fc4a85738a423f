"""A stream of requests, a stream of responses. Never tried again: the requests cannot be replayed."""

from collections.abc import AsyncIterator, Iterator
from typing import ClassVar, Generic, TypeVar

import grpc

from libs.mesh.calls.method import Method
from libs.mesh.calls.requests import RequestStreamCall
from libs.mesh.calls.responses import Responses
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
R = TypeVar("R")


class StreamStreamMethod(
    Method[grpc.aio.StreamStreamMultiCallable[Q, R]], grpc.aio.StreamStreamMultiCallable[Q, R], Generic[Q, R]
):
    """Makes bidirectional calls of one method."""

    streaming: ClassVar[bool] = True

    def __call__(
        self,
        request_iterator: AsyncIterator[Q] | Iterator[Q] | None = None,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> "StreamStreamCall[Q, R]":
        """Make a call, whose requests come from the iterator or, without one, from `write`."""
        options = self.options(credentials, wait_for_ready, compression)
        return StreamStreamCall(self, request_iterator, timeout, metadata, options)


class StreamStreamCall(
    RequestStreamCall[Q, grpc.aio.StreamStreamCall[Q, R]],
    grpc.aio.StreamStreamCall[Q, R],
    Generic[Q, R],
):
    """A bidirectional call."""

    _responses: AsyncIterator[R] | None = None

    def __aiter__(self) -> AsyncIterator[R]:
        """The responses; every `aiter` of one call continues the same stream, as grpc.aio's do."""
        if self._responses is None:
            self._responses = Responses(self._first)
        return self._responses

    async def _first(self) -> tuple[AsyncIterator[R], R]:
        responses = aiter(await self._advance())
        response = await anext(responses)
        self._responded()
        return responses, response

    async def read(self) -> R | object:
        """The next response, or `grpc.aio.EOF`."""
        response = await (await self._advance()).read()
        if not self._committed and response is not grpc.aio.EOF:
            self._responded()
        return response

    async def write(self, request: Q) -> None:
        """Send one request."""
        await (await self._advance()).write(request)

    async def done_writing(self) -> None:
        """Tell the server that there are no more requests."""
        await (await self._advance()).done_writing()
