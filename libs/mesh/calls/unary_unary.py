"""One request, one response."""

from collections.abc import Generator
from typing import Generic, TypeVar

import grpc

from libs.mesh.calls.call import MeshCall
from libs.mesh.calls.method import CallOptions, Method
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
R = TypeVar("R")


class UnaryUnaryMethod(
    Method[grpc.aio.UnaryUnaryMultiCallable[Q, R]], grpc.aio.UnaryUnaryMultiCallable[Q, R], Generic[Q, R]
):
    """Makes unary calls of one method."""

    def __call__(
        self,
        request: Q,
        *,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> "UnaryUnaryCall[Q, R]":
        """Make a call; its first attempt is sent before this returns, if it can be."""
        options = self.options(credentials, wait_for_ready, compression)
        return UnaryUnaryCall(self, request, timeout, metadata, options)


class UnaryUnaryCall(
    MeshCall[grpc.aio.UnaryUnaryMultiCallable[Q, R], grpc.aio.UnaryUnaryCall[Q, R]],
    grpc.aio.UnaryUnaryCall[Q, R],
    Generic[Q, R],
):
    """A unary call; awaiting it gives the response."""

    def __init__(
        self,
        method: UnaryUnaryMethod[Q, R],
        request: Q,
        timeout: float | None,
        metadata: CallMetadata | None,
        options: CallOptions,
    ) -> None:
        self._request = request
        super().__init__(method, timeout, metadata, options)

    def _send(
        self, at: grpc.aio.UnaryUnaryMultiCallable[Q, R], timeout: float, metadata: grpc.aio.Metadata
    ) -> grpc.aio.UnaryUnaryCall[Q, R]:
        credentials, wait_for_ready, compression = self._options
        return at(
            self._request,
            timeout=timeout,
            metadata=metadata,
            credentials=credentials,
            wait_for_ready=wait_for_ready,
            compression=compression,
        )

    def __await__(self) -> Generator[None, None, R]:
        """Wait for the response, through retries if need be."""
        attempt = self._attempt
        if attempt is None:
            return (yield from self._response().__await__())
        try:
            return (yield from attempt.__await__())
        except grpc.aio.AioRpcError:
            if self._delay is None:
                raise
        except BaseException:
            # When a serializer gives no bytes, grpc would leave the attempt unfinished.
            attempt.cancel()
            raise
        return (yield from self._response().__await__())

    async def _response(self) -> R:
        while True:
            attempt = await self._advance()
            try:
                return await attempt
            except grpc.aio.AioRpcError:
                if self._delay is None:
                    raise
