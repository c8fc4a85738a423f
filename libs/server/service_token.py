"""The token a service calls its peers with when it acts for itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import grpc

from agentmesh.auth.v1.auth_pb2 import IssueTokenRequest, IssueTokenResponse, ServiceCredential
from libs.core.clock import Clock
from libs.core.errors import MeshError

_LIFETIME_SECONDS: Final = 900
# Renewed this long before it expires, so that no call leaves with a token that dies on the way.
_MARGIN_SECONDS: Final = 120.0
# A token that could not be renewed but still lives is used this long before auth is asked again.
_RETRY_SECONDS: Final = 5.0


class ServiceTokenSource:
    """Keeps one internal token fresh by exchanging the service's secret for it.

    Args:
        issue: auth's IssueToken, on a channel that needs no token itself.
        service: our name.
        secret: what all services of the installation share.
        clock: decides when the token is due.
    """

    def __init__(
        self,
        issue: Callable[[IssueTokenRequest], Awaitable[IssueTokenResponse]],
        service: str,
        secret: str,
        clock: Clock,
    ) -> None:
        self._issue = issue
        self._request = IssueTokenRequest(
            service=ServiceCredential(service=service, secret=secret), lifetime_seconds=_LIFETIME_SECONDS
        )
        self._clock = clock
        self._token = ""
        self._expires_at = 0.0
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    def cached(self) -> str | None:
        """The token, unless it is time to `fetch` another."""
        return self._token if self._clock.time() < self._renew_at else None

    async def fetch(self) -> str:
        """A token that is valid now; concurrent callers share one exchange.

        Raises:
            MeshError: auth refused us, or is away and the last token has expired.
            grpc.RpcError: the same, as a channel reports it.
        """
        async with self._lock:
            token = self.cached()
            if token is None:
                token = await self._renew()
        return token

    async def _renew(self) -> str:
        try:
            response = await self._issue(self._request)
        except (MeshError, grpc.RpcError):
            now = self._clock.time()
            if now >= self._expires_at:
                raise
            self._renew_at = min(now + _RETRY_SECONDS, self._expires_at)
            return self._token
        self._token = response.token
        self._expires_at = response.expire_time.seconds + response.expire_time.nanos / 1e9
        self._renew_at = self._expires_at - _MARGIN_SECONDS
        return self._token

    def __repr__(self) -> str:
        return f"ServiceTokenSource(expires_at={self._expires_at})"
