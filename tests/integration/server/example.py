"""A small service of its own behind the real harness: auth's contract with answers that tests choose."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import grpc
from aiohttp import web

from agentmesh.auth.v1.auth_pb2 import (
    CreateTenantRequest,
    CreateTenantResponse,
    GetJwksRequest,
    GetJwksResponse,
    GetTenantRequest,
    GetTenantResponse,
    ListApiKeysRequest,
    ListApiKeysResponse,
    Tenant,
)
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceServicer, add_AuthServiceServicer_to_server
from libs.core import context as request_context
from libs.core.clock import SystemClock
from libs.core.context import Principal
from libs.core.errors import MeshError, Reason, invalid, not_found
from libs.core.rng import new_rng
from libs.server.lifecycle import Bound, Process, serving
from libs.server.runtime import Runtime
from libs.server.settings import ServerSettings
from libs.server.spec import INTERNAL_AUDIENCE, Access, Authenticated, MethodPolicy, ServiceSpec
from libs.telemetry.telemetry import Telemetry

SERVICE = "agentmesh.auth.v1.AuthService"
_METHODS = (
    "Authorize",
    "IssueToken",
    "GetJwks",
    "CreateApiKey",
    "ListApiKeys",
    "RotateApiKey",
    "RevokeApiKey",
    "CreateTenant",
    "GetTenant",
    "UpdateTenant",
    "ListAuditEvents",
    "VerifyAuditLog",
)


class ExampleSettings(ServerSettings):
    """Settings of the example."""


@dataclass
class Example:
    """The service and the strings it hangs on."""

    dependency_up: bool = True
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    background_runs: int = 0
    background_ended: bool = False
    background_restarts: int = 0

    async def check(self) -> None:
        """The readiness of its one dependency."""
        if not self.dependency_up:
            raise MeshError(Reason.STORE_UNAVAILABLE)

    async def background(self) -> None:
        """Fails at first, then runs until it is cancelled."""
        self.background_runs += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.background_ended = True

    @asynccontextmanager
    async def build(self, settings: ExampleSettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
        """The bootstrap."""
        yield ServiceSpec(
            registrations=(partial(add_AuthServiceServicer_to_server, _servicer(self)),),
            services=(SERVICE,),
            methods=_policies(),
            authenticator=_EverybodyIsTheirCredential(),
            readiness={"state": self.check},
            background=(self.background,),
            routes=(web.get("/hello", _hello),),
        )


def run(example: Example, settings: ExampleSettings | None = None) -> AbstractAsyncContextManager[Bound]:
    """The example, served on loopback ports that the machine chooses."""
    chosen = settings if settings is not None else ExampleSettings(readiness_interval=0.02, drain_wait=0.0)
    process = Process(SystemClock(), new_rng(1), Telemetry.local("example"))
    return serving("example", chosen, example.build, process)


class _Servicer(AuthServiceServicer):
    def __init__(self, example: Example) -> None:
        self._example = example

    async def GetTenant(self, request: GetTenantRequest, context: object) -> GetTenantResponse:  # noqa: N802
        if request.tenant_id == "missing":
            raise not_found("tenant")
        if request.tenant_id == "bug":
            raise KeyError("secret detail")
        if request.tenant_id == "slow":
            self._example.entered.set()
            await self._example.leave.wait()
        return GetTenantResponse(tenant=Tenant(tenant_id=request.tenant_id))

    async def CreateTenant(self, request: CreateTenantRequest, context: object) -> CreateTenantResponse:  # noqa: N802
        principal = request_context.require().principal
        return CreateTenantResponse(tenant=Tenant(tenant_id=principal.tenant_id if principal else ""))

    async def ListApiKeys(self, request: ListApiKeysRequest, context: object) -> ListApiKeysResponse:  # noqa: N802
        remaining = request_context.require().deadline.remaining()
        return ListApiKeysResponse(next_page_token=f"{remaining:.3f}")

    async def GetJwks(self, request: GetJwksRequest, context: object) -> GetJwksResponse:  # noqa: N802
        self._example.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._example.leave.set()
        return GetJwksResponse()


def _servicer(example: Example) -> AuthServiceServicer:
    return _Servicer(example)  # type: ignore[abstract]  # the rest stays unimplemented on purpose


class _EverybodyIsTheirCredential:
    async def authenticate(self, method: str, credential: str) -> Authenticated:
        return Authenticated(Principal(credential, "", audience=INTERNAL_AUDIENCE), credential)


def _policies() -> Mapping[str, MethodPolicy]:
    registered = [name for name in _METHODS if hasattr(AuthServiceServicer, name)]
    policies = {f"/{SERVICE}/{name}": MethodPolicy(Access.PUBLIC) for name in registered}
    policies[f"/{SERVICE}/CreateTenant"] = MethodPolicy(Access.INTERNAL, validate=_check)
    return policies


def _check(request: CreateTenantRequest) -> None:
    if not request.display_name:
        raise invalid("display_name", "is empty")


async def _hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


def channel(bound: Bound) -> grpc.aio.Channel:
    """A plain channel to it."""
    return grpc.aio.insecure_channel(str(bound.grpc))
