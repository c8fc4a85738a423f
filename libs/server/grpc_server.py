"""The gRPC server of a service: its servicers behind the chain, health and reflection beside them."""

from collections.abc import Mapping
from typing import Final

import grpc
from grpc_reflection.v1alpha import reflection

from libs.core.rng import Rng
from libs.server import health, tls
from libs.server.address import Address
from libs.server.chain import ChainOptions, stages
from libs.server.health import Health
from libs.server.registering import ChainedServer
from libs.server.runtime import Runtime
from libs.server.settings import ServerSettings
from libs.server.spec import Access, MethodPolicy, ServiceSpec

# Two seconds of refusing, about.
_PENDING_CALLS: Final = 10_000
_REFLECTION: Final[Mapping[str, MethodPolicy]] = {
    f"/{reflection.SERVICE_NAME}/ServerReflectionInfo": MethodPolicy(
        Access.PUBLIC, default_timeout=health.LIFETIME_SECONDS, housekeeping=True
    )
}


def build_server(
    settings: ServerSettings, runtime: Runtime, spec: ServiceSpec, health_service: Health
) -> ChainedServer:
    """The server with everything registered, neither bound nor started; ValueError if a method has no policy."""
    chain = stages(
        ChainOptions(
            runtime.service, runtime.telemetry, runtime.clock, spec.authenticator, settings.max_concurrent_calls
        )
    )
    policies = {**spec.methods, **health.POLICIES, **_REFLECTION}
    server = ChainedServer(grpc.aio.server(options=_options(settings, runtime.rng)), chain, policies)
    for register in spec.registrations:
        register(server)
    health_service.register(server)
    reflection.enable_server_reflection([*spec.services, health.HEALTH_SERVICE, reflection.SERVICE_NAME], server)
    server.check()
    return server


def bind(server: grpc.aio.Server, settings: ServerSettings) -> Address:
    """Open the port; the address says which one it was if 0 was asked for. RuntimeError if it is taken."""
    wanted = Address.parse(settings.grpc_address)
    credentials = tls.server_credentials(settings)
    if credentials is None:
        return Address(wanted.host, server.add_insecure_port(str(wanted)))
    return Address(wanted.host, server.add_secure_port(str(wanted), credentials))


def _options(settings: ServerSettings, rng: Rng) -> list[tuple[str, int]]:
    # Replicas started together must not ask all their clients to reconnect together.
    age = settings.max_connection_age * rng.uniform(0.9, 1.1)
    return [
        # A taken port is an error, not a second process that gets every other connection.
        ("grpc.so_reuseport", 0),
        # Clients ping every 30 s (`MeshOptions.keepalive`); those that ping seven times as often are sent away.
        ("grpc.http2.min_ping_interval_without_data_ms", 4_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 4_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # As in libs/mesh/endpoint.py: no ping with every read, but a window that holds a whole message.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 1024 * 1024),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # C-core resets calls at random, as CANCELLED and with no word of when to return, once so many wait for our
        # event loop. Its own limit of 1,000 is one burst; admission can refuse properly only what gets through to it.
        ("grpc.server.max_pending_requests", _PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", 2 * _PENDING_CALLS),
        # Makes clients look again at who is there, so that load reaches new replicas.
        ("grpc.max_connection_age_ms", int(age * 1000)),
        ("grpc.max_connection_age_grace_ms", int(settings.max_connection_age_grace * 1000)),
    ]
