"""The metadata that goes with a call: trace context and token, built once per request and not once per call."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final

import grpc

from libs.core import context
from libs.mesh.service_token import TokenSource

CallMetadata = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]

_AUTHORIZATION: Final = "authorization"
_TRACEPARENT: Final = "traceparent"
# A request's handler calls several peers with the same trace context and token. A context variable dies with the
# request's task, so nothing has to be evicted.
_latest: Final[ContextVar[tuple[str, str, grpc.aio.Metadata] | None]] = ContextVar(
    "agentmesh_outgoing_metadata", default=None
)


class OutgoingMetadata:
    """Makes the metadata of one channel's calls."""

    __slots__ = ("_tokens",)

    def __init__(self, tokens: TokenSource | None) -> None:
        self._tokens: Final = tokens

    def build(self, extra: CallMetadata | None, fetched: str = "") -> grpc.aio.Metadata | None:
        """The metadata of a call made now, or None if a token has to be fetched first (see `fetch_token`).

        Args:
            extra: the call's own metadata, whose keys win over ours.
            fetched: what `fetch_token` gave, for requests that bring no token.
        """
        request = context.current()
        traceparent, token = ("", "") if request is None else (request.traceparent, request.token)
        if not token and self._tokens is not None and not _names(extra, _AUTHORIZATION):
            found = fetched or self._tokens.cached()
            if found is None:
                return None
            token = found
        latest = _latest.get()
        # By identity: the strings of one request are the same objects, and comparing a token costs its length.
        if latest is None or latest[0] is not traceparent or latest[1] is not token:
            latest = (traceparent, token, _metadata(traceparent, token))
            _latest.set(latest)
        return latest[2] if not extra else _merge(latest[2], extra)

    async def fetch_token(self) -> str:
        """A token from the source, empty if there is no source; errors are the source's own."""
        return "" if self._tokens is None else await self._tokens.fetch()


def _metadata(traceparent: str, token: str) -> grpc.aio.Metadata:
    metadata = grpc.aio.Metadata()
    if traceparent:
        metadata.add(_TRACEPARENT, traceparent)
    if token:
        metadata.add(_AUTHORIZATION, f"Bearer {token}")
    return metadata


def _names(extra: CallMetadata | None, key: str) -> bool:
    return bool(extra) and any(name == key for name, _ in extra or ())


def _merge(ours: grpc.aio.Metadata, extra: CallMetadata) -> grpc.aio.Metadata:
    named = {key for key, _ in extra}
    return grpc.aio.Metadata(*(pair for pair in ours if pair[0] not in named), *extra)
