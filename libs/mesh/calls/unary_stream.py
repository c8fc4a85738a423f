"""One request, a stream of responses."""

from collections.abc import AsyncIterator
from typing import ClassVar, Generic, TypeVar

import grpc

from libs.mesh.calls.method import Method
from libs.mesh.calls.requests import OneRequestCall
from libs.mesh.calls.responses import Responses
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
R = TypeVar("R")


class UnaryStreamMethod(
    Method[grpc.aio.UnaryStreamMultiCallable[Q, R]], grpc.aio.UnaryStreamMultiCallable[Q, R], Generic[Q, R]
):
    """Makes server-streaming calls of one method."""

    streaming: ClassVar[bool] = True

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
    OneRequestCall[Q, grpc.aio.UnaryStreamCall[Q, R]],
    grpc.aio.UnaryStreamCall[Q, R],
    Generic[Q, R],
):
    """A server-streaming call, for `async for` or `read`. It is tried again only before its first response."""

    _responses: AsyncIterator[R] | None = None

    def __aiter__(self) -> AsyncIterator[R]:
        """The responses; every `aiter` of one call continues the same stream, as grpc.aio's do."""
        if self._responses is None:
            self._responses = Responses(self._first)
        return self._responses

    async def _first(self) -> tuple[AsyncIterator[R], R]:
        while True:
            attempt = await self._advance()
            responses = aiter(attempt)
            try:
                response = await anext(responses)
            except grpc.aio.AioRpcError:
                if self._delay is None:
                    raise
            except StopAsyncIteration:
                raise
            except Exception:
                # What cannot be sent, grpc would leave unfinished.
                attempt.cancel()
                raise
            else:
                self._responded()
                return responses, response

    async def read(self) -> R | object:
        """The next response, or `grpc.aio.EOF`."""
        while True:
            attempt = await self._advance()
            try:
                response = await attempt.read()
            except grpc.aio.AioRpcError:
                if self._delay is None:
                    raise
            except Exception:
                attempt.cancel()
                raise
            else:
                if not self._committed and response is not grpc.aio.EOF:
                    self._responded()
                return response
