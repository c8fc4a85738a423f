"""gRPC's standard health service (grpc.health.v1), for every service of the process and for the process itself ('')."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import grpc
from grpc_health.v1.health import SERVICE_NAME
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from libs.core.errors import not_found
from libs.server.spec import Access, MethodPolicy

HEALTH_SERVICE: Final = str(SERVICE_NAME)
LIFETIME_SECONDS: Final = 600.0
"""How long a watch lasts; who still wants to know asks again. Nobody has to prove who they are to open one."""
_PUBLIC: Final = MethodPolicy(Access.PUBLIC, default_timeout=LIFETIME_SECONDS, housekeeping=True)
POLICIES: Final[Mapping[str, MethodPolicy]] = {
    f"/{HEALTH_SERVICE}/{name}": _PUBLIC for name in ("Check", "List", "Watch")
}


class Health:
    """SERVING while the dependencies are there and the server does not drain, NOT_SERVING otherwise.

    The servicer that comes with grpcio leaves watchers waiting when the server drains, and they would use up its
    whole grace; these are sent home by `close`.

    Args:
        services: full names of the gRPC services.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._names = frozenset(("", *services))
        self._ready = False
        self._draining = False
        self._closed = False
        self._changed = asyncio.Event()

    def register(self, server: grpc.aio.Server) -> None:
        """Add the health service to `server`."""
        add_HealthServicer_to_server(self, server)

    def publish(self, ready: bool) -> None:
        """Tell whoever checks or watches."""
        if ready != self._ready:
            self._ready = ready
            self._wake()

    def drain(self) -> None:
        """NOT_SERVING for good: clients go elsewhere, calls in flight go on."""
        self._draining = True
        self._wake()

    def close(self) -> None:
        """End every watch."""
        self._closed = True
        self._wake()

    async def Check(self, request: HealthCheckRequest, context: object) -> HealthCheckResponse:  # noqa: ARG002, N802 - gRPC's
        """The status of one service; NOT_FOUND if it is not served here."""
        if request.service not in self._names:
            raise not_found("service")
        return HealthCheckResponse(status=self._status())

    async def List(self, request: HealthListRequest, context: object) -> HealthListResponse:  # noqa: ARG002, N802 - gRPC's
        """The status of every service."""
        return HealthListResponse(statuses={name: HealthCheckResponse(status=self._status()) for name in self._names})

    async def Watch(  # noqa: N802 - gRPC's
        self,
        request: HealthCheckRequest,
        context: object,  # noqa: ARG002 - gRPC's
    ) -> AsyncIterator[HealthCheckResponse]:
        """The status of one service now and whenever it changes."""
        known = request.service in self._names
        last = None
        while not self._closed:
            changed = self._changed
            status = self._status() if known else HealthCheckResponse.SERVICE_UNKNOWN
            if status != last:
                last = status
                yield HealthCheckResponse(status=status)
            await changed.wait()

    def _status(self) -> int:
        serving = self._ready and not self._draining
        status: int = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        return status

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"Health(ready={self._ready}, draining={self._draining})"
