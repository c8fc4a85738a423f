"""A stream of requests, a stream of responses. Never tried again: the requests cannot be replayed."""

from collections.abc import AsyncIterator, Iterator
from typing import ClassVar, Generic, TypeVar

import grpc

from libs.mesh.calls.call import MeshCall
from libs.mesh.calls.method import CallOptions, Method
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
R = TypeVar("R")


class StreamStreamMethod(
    Method[grpc.aio.StreamStreamMultiCallable[Q, R]], grpc.aio.StreamStreamMultiCallable[Q, R], Generic[Q, R]
):
    """Makes bidirectional calls of one method."""

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
    MeshCall[grpc.aio.StreamStreamMultiCallable[Q, R], grpc.aio.StreamStreamCall[Q, R]],
    grpc.aio.StreamStreamCall[Q, R],
    Generic[Q, R],
):
    """A bidirectional call."""

    replayable: ClassVar[bool] = False
    _responses: AsyncIterator[R] | None = None

    def __init__(
        self,
        method: StreamStreamMethod[Q, R],
        requests: AsyncIterator[Q] | Iterator[Q] | None,
        timeout: float | None,
        metadata: CallMetadata | None,
        options: CallOptions,
    ) -> None:
        self._requests = requests
        super().__init__(method, timeout, metadata, options)

    def _send(
        self, at: grpc.aio.StreamStreamMultiCallable[Q, R], timeout: float, metadata: grpc.aio.Metadata
    ) -> grpc.aio.StreamStreamCall[Q, R]:
        return at(self._requests, timeout, metadata, *self._options)

    def __aiter__(self) -> AsyncIterator[R]:
        """The responses; every `aiter` of one call continues the same stream, as grpc.aio's do."""
        if self._responses is None:
            self._responses = self._iterate()
        return self._responses

    async def _iterate(self) -> AsyncIterator[R]:
        async for response in await self._advance():
            yield response

    async def read(self) -> R | object:
        """The next response, or `grpc.aio.EOF`."""
        return await (await self._advance()).read()

    async def write(self, request: Q) -> None:
        """Send one request."""
        await (await self._advance()).write(request)

    async def done_writing(self) -> None:
        """Tell the server that there are no more requests."""
        await (await self._advance()).done_writing()
