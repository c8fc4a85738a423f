"""gRPC's standard health service (grpc.health.v1), for every service of the process and for the process ('')."""

from collections.abc import Mapping, Sequence
from typing import Final

import grpc
from grpc_health.v1.health import SERVICE_NAME, aio
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from libs.server.spec import Access, MethodPolicy

_PUBLIC: Final = MethodPolicy(Access.PUBLIC, default_timeout=float("inf"), housekeeping=True)
POLICIES: Final[Mapping[str, MethodPolicy]] = {
    f"/{SERVICE_NAME}/{name}": _PUBLIC for name in ("Check", "Watch", "List")
}


class Health:
    """Says SERVING once the dependencies are there, NOT_SERVING while they are not or the server drains.

    Args:
        services: full names of the gRPC services.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._names = ("", *services)
        self._servicer = aio.HealthServicer()

    def register(self, server: grpc.aio.Server) -> None:
        """Add the health service to `server`."""
        add_HealthServicer_to_server(self._servicer, server)

    async def publish(self, ready: bool) -> None:
        """Tell whoever checks or watches; ignored once draining."""
        status = HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self._servicer.set(name, status)

    async def drain(self) -> None:
        """NOT_SERVING for good: clients go elsewhere, calls in flight go on."""
        await self._servicer.enter_graceful_shutdown()
