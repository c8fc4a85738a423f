"""What the harness hands to a service's bootstrap."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from agentmesh.auth.v1.auth_pb2 import GetJwksRequest
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from agentmesh.monitoring.v1.monitoring_pb2_grpc import MonitoringServiceStub
from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.channel import MeshChannel
from libs.mesh.channel_core import MeshStatistics
from libs.mesh.options import MeshOptions
from libs.server import tls
from libs.server.auth import Jwks, TokenAuthenticator
from libs.server.service_token import ServiceTokenSource
from libs.server.settings import ServerSettings
from libs.server.spec import ServiceSpec
from libs.telemetry.catalogue import USAGE_DROPPED
from libs.telemetry.telemetry import Telemetry
from libs.telemetry.usage import UsageReporter

S = TypeVar("S", bound=ServerSettings)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The process around a service: time, chance, telemetry and the way to its peers."""

    service: str
    clock: Clock
    rng: Rng
    telemetry: Telemetry
    peers: "Peers"

    def dial(self, target: str, options: MeshOptions | None = None) -> MeshChannel:
        """A channel to a peer that carries our telemetry and, outside a request, our own token; closed at shutdown."""
        return self.peers.dial(target, options)

    def usage_reporter(self, monitoring_target: str) -> UsageReporter | None:
        """Reports usage to monitoring, once its `run` is in the background; None without a target."""
        if not monitoring_target:
            return None
        stub = MonitoringServiceStub(self.dial(monitoring_target))
        dropped = self.telemetry.metrics.counter(USAGE_DROPPED)
        return UsageReporter(stub.ReportUsage, self.clock, dropped=dropped, log=self.telemetry.log)

    def token_authenticator(self) -> TokenAuthenticator:
        """The usual authenticator: tokens that the auth service at `auth_target` signed."""
        return self.peers.token_authenticator()


Build = Callable[[S, Runtime], AbstractAsyncContextManager[ServiceSpec]]
"""A service's bootstrap. It must not need its dependencies: what is down is what `readiness` is for."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every channel of the process is made with."""

    clock: Clock
    rng: Rng
    telemetry: Telemetry
    tasks: asyncio.TaskGroup
    """Follows targets and certificates; ends after the channels are closed."""


class Peers:
    """Every channel of the process, and the token they carry.

    Args:
        service: our name.
        settings: where auth is, how we prove ourselves to it, and whether peers are dialled with TLS.
        around: what the channels and tokens are made with.
    """

    def __init__(self, service: str, settings: ServerSettings, around: Surroundings) -> None:
        self._around = around
        self._tls = tls.channel_files(settings)
        self._zone = settings.zone
        self._closing = AsyncExitStack()
        self._channels: list[MeshChannel] = []
        self._auth: MeshChannel | None = None
        self._tokens: ServiceTokenSource | None = None
        if settings.auth_target:
            # GetJwks and IssueToken are public: on this channel no token is sought, or seeking one would need one.
            self._auth = self._open(settings.auth_target, MeshOptions())
            secret = settings.service_secret.get_secret_value()
            self._tokens = ServiceTokenSource(AuthServiceStub(self._auth).IssueToken, service, secret, around.clock)

    def dial(self, target: str, options: MeshOptions | None = None) -> MeshChannel:
        """A channel with our token on it, unless `options` bring a source of their own."""
        chosen = options if options is not None else MeshOptions()
        if chosen.token_source is None:
            chosen = replace(chosen, token_source=self._tokens)
        return self._open(target, chosen)

    def token_authenticator(self) -> TokenAuthenticator:
        """Accepts what auth signed; LookupError without an `auth_target`."""
        if self._auth is None:
            raise LookupError("auth_target is not set")
        stub = AuthServiceStub(self._auth)

        async def fetch() -> str:
            return (await stub.GetJwks(GetJwksRequest())).jwks_json

        return TokenAuthenticator(Jwks(fetch, self._around.clock), self._around.clock)

    def statistics(self) -> list[MeshStatistics]:
        """A snapshot of every channel."""
        return [channel.statistics() for channel in self._channels]

    async def close(self) -> None:
        """Close every channel, even if closing one of them fails."""
        await self._closing.aclose()

    def _open(self, target: str, options: MeshOptions) -> MeshChannel:
        around = self._around
        chosen = options if options.credentials or options.tls else replace(options, tls=self._tls)
        if not chosen.policies.zone:
            chosen = replace(chosen, policies=replace(chosen.policies, zone=self._zone))
        channel = MeshChannel(
            target, chosen, telemetry=around.telemetry, clock=around.clock, rng=around.rng, tasks=around.tasks
        )
        self._closing.push_async_callback(channel.close)
        self._channels.append(channel)
        return channel


@asynccontextmanager
async def open_runtime(
    service: str, settings: ServerSettings, clock: Clock, rng: Rng, telemetry: Telemetry
) -> AsyncIterator[Runtime]:
    """A runtime whose channels are closed at the end of the block. Enter and leave it in the same task."""
    async with _background() as tasks:
        peers = Peers(service, settings, Surroundings(clock, rng, telemetry, tasks))
        try:
            yield Runtime(service, clock, rng, telemetry, peers)
        finally:
            await peers.close()


@asynccontextmanager
async def _background() -> AsyncIterator[asyncio.TaskGroup]:
    tasks = await asyncio.TaskGroup().__aenter__()
    try:
        yield tasks
    finally:
        # Without the block's exception: a service's own fault is not to come out wrapped in a group.
        await tasks.__aexit__(None, None, None)
