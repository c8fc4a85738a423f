"""How a call's request goes out: one message that can be sent again, or a stream that cannot."""

from collections.abc import AsyncIterator, Iterator
from typing import ClassVar, Generic, Protocol, TypeVar

import grpc

from libs.mesh.calls.call import MeshCall
from libs.mesh.calls.method import CallOptions, Method
from libs.mesh.outgoing import CallMetadata

Q = TypeVar("Q")
Q_contra = TypeVar("Q_contra", contravariant=True)
C = TypeVar("C", bound=grpc.aio.Call)
C_co = TypeVar("C_co", bound=grpc.aio.Call, covariant=True)


class SendsOne(Protocol[Q_contra, C_co]):
    """What grpc.aio's multicallables for one request have in common."""

    def __call__(
        self,
        request: Q_contra,
        *,
        timeout: float | None,
        metadata: grpc.aio.Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: grpc.Compression | None,
    ) -> C_co:
        """Start an attempt."""
        ...


class OneRequestCall(MeshCall[SendsOne[Q, C], C], Generic[Q, C]):
    """A call with one request."""

    def __init__(
        self,
        method: Method[SendsOne[Q, C]],
        request: Q,
        timeout: float | None,
        metadata: CallMetadata | None,
        options: CallOptions,
    ) -> None:
        self._request = request
        super().__init__(method, timeout, metadata, options)

    def _send(self, at: SendsOne[Q, C], timeout: float, metadata: grpc.aio.Metadata) -> C:
        credentials, wait_for_ready, compression = self._options
        return at(
            self._request,
            timeout=timeout,
            metadata=metadata,
            credentials=credentials,
            wait_for_ready=wait_for_ready,
            compression=compression,
        )


class SendsMany(Protocol[Q_contra, C_co]):
    """What grpc.aio's multicallables for a stream of requests have in common."""

    def __call__(
        self,
        request_iterator: AsyncIterator[Q_contra] | Iterator[Q_contra] | None,
        timeout: float | None,
        metadata: grpc.aio.Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: grpc.Compression | None,
    ) -> C_co:
        """Start the attempt."""
        ...


class RequestStreamCall(MeshCall[SendsMany[Q, C], C], Generic[Q, C]):
    """A call with a stream of requests: one attempt only, as the requests cannot be replayed."""

    replayable: ClassVar[bool] = False

    def __init__(
        self,
        method: Method[SendsMany[Q, C]],
        requests: AsyncIterator[Q] | Iterator[Q] | None,
        timeout: float | None,
        metadata: CallMetadata | None,
        options: CallOptions,
    ) -> None:
        self._requests = requests
        super().__init__(method, timeout, metadata, options)

    def _send(self, at: SendsMany[Q, C], timeout: float, metadata: grpc.aio.Metadata) -> C:
        return at(self._requests, timeout, metadata, *self._options)
