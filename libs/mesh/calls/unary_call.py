"""One call with one request and one response."""

from collections.abc import Generator
from typing import Generic, TypeVar

import grpc

from libs.mesh.calls.requests import OneRequestCall

Q = TypeVar("Q")
R = TypeVar("R")


class UnaryUnaryCall(
    OneRequestCall[Q, grpc.aio.UnaryUnaryCall[Q, R]],
    grpc.aio.UnaryUnaryCall[Q, R],
    Generic[Q, R],
):
    """A unary call; awaiting it gives the response."""

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
            except Exception:
                attempt.cancel()
                raise
