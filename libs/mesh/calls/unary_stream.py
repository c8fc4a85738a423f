"""One request, a stream of responses."""

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import grpc

from libs.mesh.calls.call import MeshCall
from libs.mesh.calls.method import CallOptions, Method
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
R = TypeVar("R")


class UnaryStreamMethod(
    Method[grpc.aio.UnaryStreamMultiCallable[Q, R]], grpc.aio.UnaryStreamMultiCallable[Q, R], Generic[Q, R]
):
    """Makes server-streaming calls of one method."""

    def __call__(
        self,
        request: Q,
        *,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> "UnaryStreamCall[Q, R]":
        """Make a call; its first attempt is sent before this returns, if it can be."""
        options = self.options(credentials, wait_for_ready, compression)
        return UnaryStreamCall(self, request, timeout, metadata, options)


class UnaryStreamCall(
    MeshCall[grpc.aio.UnaryStreamMultiCallable[Q, R], grpc.aio.UnaryStreamCall[Q, R]],
    grpc.aio.UnaryStreamCall[Q, R],
    Generic[Q, R],
):
    """A server-streaming call, for `async for` or `read`. It is tried again only before its first response."""

    _responses: AsyncIterator[R] | None = None

    def __init__(
        self,
        method: UnaryStreamMethod[Q, R],
        request: Q,
        timeout: float | None,
        metadata: CallMetadata | None,
        options: CallOptions,
    ) -> None:
        self._request = request
        super().__init__(method, timeout, metadata, options)

    def _send(
        self, at: grpc.aio.UnaryStreamMultiCallable[Q, R], timeout: float, metadata: grpc.aio.Metadata
    ) -> grpc.aio.UnaryStreamCall[Q, R]:
        credentials, wait_for_ready, compression = self._options
        return at(
            self._request,
            timeout=timeout,
            metadata=metadata,
            credentials=credentials,
            wait_for_ready=wait_for_ready,
            compression=compression,
        )

    def __aiter__(self) -> AsyncIterator[R]:
        """The responses; every `aiter` of one call continues the same stream, as grpc.aio's do."""
        if self._responses is None:
            self._responses = self._iterate()
        return self._responses

    async def _iterate(self) -> AsyncIterator[R]:
        while True:
            attempt = await self._advance()
            try:
                async for response in attempt:
                    self._committed = True
                    yield response
            except grpc.aio.AioRpcError:
                if self._delay is None:
                    raise
            else:
                return

    async def read(self) -> R | object:
        """The next response, or `grpc.aio.EOF`."""
        while True:
            attempt = await self._advance()
            try:
                response = await attempt.read()
            except grpc.aio.AioRpcError:
                if self._delay is None:
                    raise
            else:
                self._committed = True
                return response
