"""A stream of requests, one response. Never tried again: the requests cannot be replayed."""

from collections.abc import AsyncIterator, Generator, Iterator
from typing import ClassVar, Generic, TypeVar

import grpc

from libs.mesh.calls.call import MeshCall
from libs.mesh.calls.method import CallOptions, Method
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
R = TypeVar("R")


class StreamUnaryMethod(
    Method[grpc.aio.StreamUnaryMultiCallable[Q, R]], grpc.aio.StreamUnaryMultiCallable[Q, R], Generic[Q, R]
):
    """Makes client-streaming calls of one method."""

    def __call__(
        self,
        request_iterator: AsyncIterator[Q] | Iterator[Q] | None = None,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> "StreamUnaryCall[Q, R]":
        """Make a call, whose requests come from the iterator or, without one, from `write`."""
        options = self.options(credentials, wait_for_ready, compression)
        return StreamUnaryCall(self, request_iterator, timeout, metadata, options)


class StreamUnaryCall(
    MeshCall[grpc.aio.StreamUnaryMultiCallable[Q, R], grpc.aio.StreamUnaryCall[Q, R]],
    grpc.aio.StreamUnaryCall[Q, R],
    Generic[Q, R],
):
    """A client-streaming call; awaiting it gives the response."""

    replayable: ClassVar[bool] = False

    def __init__(
        self,
        method: StreamUnaryMethod[Q, R],
        requests: AsyncIterator[Q] | Iterator[Q] | None,
        timeout: float | None,
        metadata: CallMetadata | None,
        options: CallOptions,
    ) -> None:
        self._requests = requests
        super().__init__(method, timeout, metadata, options)

    def _send(
        self, at: grpc.aio.StreamUnaryMultiCallable[Q, R], timeout: float, metadata: grpc.aio.Metadata
    ) -> grpc.aio.StreamUnaryCall[Q, R]:
        return at(self._requests, timeout, metadata, *self._options)

    def __await__(self) -> Generator[None, None, R]:
        """Wait for the response."""
        return self._response().__await__()

    async def _response(self) -> R:
        return await (await self._advance())

    async def write(self, request: Q) -> None:
        """Send one request."""
        await (await self._advance()).write(request)

    async def done_writing(self) -> None:
        """Tell the server that there are no more requests."""
        await (await self._advance()).done_writing()
