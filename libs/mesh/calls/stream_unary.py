"""A stream of requests, one response. Never tried again: the requests cannot be replayed."""

from collections.abc import AsyncIterator, Generator, Iterator
from typing import ClassVar, Generic, TypeVar

import grpc

from libs.mesh.calls.method import Method
from libs.mesh.calls.requests import RequestStreamCall
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
R = TypeVar("R")


class StreamUnaryMethod(
    Method[grpc.aio.StreamUnaryMultiCallable[Q, R]], grpc.aio.StreamUnaryMultiCallable[Q, R], Generic[Q, R]
):
    """Makes client-streaming calls of one method."""

    streaming: ClassVar[bool] = True

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
    RequestStreamCall[Q, grpc.aio.StreamUnaryCall[Q, R]],
    grpc.aio.StreamUnaryCall[Q, R],
    Generic[Q, R],
):
    """A client-streaming call; awaiting it gives the response."""

    def __await__(self) -> Generator[None, None, R]:
        """Wait for the response."""
        return self._response().__await__()

    async def _response(self) -> R:
        attempt = await self._advance()
        try:
            return await attempt
        except grpc.aio.AioRpcError:
            raise
        except Exception:
            # What cannot be sent, grpc would leave unfinished.
            attempt.cancel()
            raise

    async def write(self, request: Q) -> None:
        """Send one request."""
        await (await self._advance()).write(request)

    async def done_writing(self) -> None:
        """Tell the server that there are no more requests."""
        await (await self._advance()).done_writing()
