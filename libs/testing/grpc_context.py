"""A `grpc.aio.ServicerContext` without a server: tests call stages and servicers directly."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Never

import grpc

Metadata = Sequence[tuple[str, str | bytes]]


class FakeServicerContext(grpc.aio.ServicerContext[object, object]):
    """Records what a servicer does to its call.

    Attributes:
        written: the messages of a stream, in order.
        aborted_with: the code, details and trailing metadata of an abort, or None.

    Args:
        metadata: what the client sent.
        timeout: seconds the client waits; None if it sent no deadline.
        peer: the client's address.
    """

    def __init__(self, metadata: Metadata = (), timeout: float | None = None, peer: str = "ipv4:127.0.0.1:1") -> None:
        self.written: list[object] = []
        self.aborted_with: tuple[grpc.StatusCode, str, Metadata] | None = None
        self._metadata = tuple(metadata)
        self._timeout = timeout
        self._peer = peer
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailing: Metadata = ()

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata | grpc.aio.Metadata = ()
    ) -> Never:
        """End the call; raises `grpc.aio.AbortError` as the real one does."""
        self.aborted_with = (code, details, tuple(trailing_metadata))
        self._code = code
        raise grpc.aio.AbortError

    async def abort_with_status(self, status: grpc.Status) -> Never:
        """End the call with a status object."""
        await self.abort(status.code, status.details, status.trailing_metadata)

    async def read(self) -> object:
        """Nothing is ever sent."""
        return grpc.aio.EOF

    async def write(self, message: object) -> None:
        """Keep the message."""
        self.written.append(message)

    async def send_initial_metadata(self, initial_metadata: Metadata | grpc.aio.Metadata) -> None:
        """Goes nowhere."""

    def set_trailing_metadata(self, trailing_metadata: Metadata | grpc.aio.Metadata) -> None:
        """Keep it for `trailing_metadata`."""
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> grpc.aio.Metadata:
        """What was set."""
        return grpc.aio.Metadata(*self._trailing)

    def invocation_metadata(self) -> grpc.aio.Metadata | None:
        """What the client sent."""
        return grpc.aio.Metadata(*self._metadata)

    def time_remaining(self) -> float:
        """Seconds until the client's deadline; None without one, as on a real server and unlike its type."""
        return self._timeout  # type: ignore[return-value]  # the real one returns None too

    def set_code(self, code: grpc.StatusCode) -> None:
        """Keep it for `code`."""
        self._code = code

    def code(self) -> grpc.StatusCode:
        """What was set, or the code of the abort."""
        return self._code

    def set_details(self, details: str) -> None:
        """Keep it for `details`."""
        self._details = details

    def details(self) -> str:
        """What was set."""
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Changes nothing."""

    def disable_next_message_compression(self) -> None:
        """Changes nothing."""

    def peer(self) -> str:
        """The client's address."""
        return self._peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """Nobody shows a certificate."""
        return None

    def peer_identity_key(self) -> str | None:
        """Nobody shows a certificate."""
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Nobody shows a certificate."""
        return {}
