"""One request, one response."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import grpc

from libs.mesh.calls.hedged import HedgedUnaryUnaryCall
from libs.mesh.calls.method import Method
from libs.mesh.calls.unary_call import UnaryUnaryCall
from libs.mesh.channel_core import ChannelCore
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
R = TypeVar("R")


class UnaryUnaryMethod(
    Method[grpc.aio.UnaryUnaryMultiCallable[Q, R]], grpc.aio.UnaryUnaryMultiCallable[Q, R], Generic[Q, R]
):
    """Makes unary calls of one method."""

    def __init__(
        self, core: ChannelCore, name: str, bind: Callable[[grpc.aio.Channel], grpc.aio.UnaryUnaryMultiCallable[Q, R]]
    ) -> None:
        super().__init__(core, name, bind)
        # Chosen once, so that calls that are not hedged need not ask.
        hedged = self.config.hedging is not None
        self._call: Final[type[UnaryUnaryCall[Q, R]]] = HedgedUnaryUnaryCall if hedged else UnaryUnaryCall

    def __call__(
        self,
        request: Q,
        *,
        timeout: float | None = None,
        metadata: CallMetadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> UnaryUnaryCall[Q, R]:
        """Make a call; its first attempt is sent before this returns, if it can be."""
        options = self.options(credentials, wait_for_ready, compression)
        return self._call(self, request, timeout, metadata, options)
