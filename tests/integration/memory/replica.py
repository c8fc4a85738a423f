"""The whole memory service in this process: real gRPC in front, real Redis behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import aiohttp
import grpc
import pytest

from agentmesh.memory.v1.memory_pb2_grpc import MemoryServiceStub
from libs.core.clock import SystemClock
from libs.core.context import Principal
from libs.core.errors import MeshError
from libs.core.rng import new_rng
from libs.mesh.errors import decode
from libs.server.lifecycle import Process, serving
from libs.server.runtime import Runtime
from libs.server.spec import Authenticated, Authenticator, ServiceSpec
from libs.telemetry.telemetry import Telemetry
from services.memory.bootstrap import build
from services.memory.settings import MemorySettings

if TYPE_CHECKING:
    from agentmesh.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

Metadata = tuple[tuple[str, str], ...]


class Believing(Authenticator):
    """Takes callers for whom they say they are: `tenant/user/audience`."""

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        tenant, user, audience = credential.split("/")
        return Authenticated(Principal(tenant, user, audience=audience), credential)


def caller(tenant: str = "t1", user: str = "u1", audience: str = "agentmesh-internal") -> Metadata:
    """The metadata of a call made for a user."""
    return (("authorization", f"Bearer {tenant}/{user}/{audience}"),)


@dataclass(slots=True)
class Replica:
    """A replica that runs."""

    stub: "MemoryServiceAsyncStub"
    admin: str
    telemetry: Telemetry

    async def ready(self) -> bool:
        """Whether it reports that it can serve."""
        async with aiohttp.ClientSession() as http, http.get(f"http://{self.admin}/readyz") as response:
            return response.status == 200


@asynccontextmanager
async def _believing(settings: MemorySettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
    async with build(settings, runtime) as spec:
        yield replace(spec, authenticator=Believing())


@asynccontextmanager
async def replica(redis_url: str, **settings: object) -> AsyncIterator[Replica]:
    """The whole service, on free ports of this machine."""
    values: dict[str, object] = {
        "redis_url": redis_url,
        # Never asked: the tests bring an authenticator of their own.
        "auth_target": "static:///127.0.0.1:1",
        "service_secret": "secret",
        "redis_timeout": 0.5,
        "drain_wait": 0.0,
        "drain_grace": 1.0,
        "readiness_interval": 0.05,
    }
    telemetry = Telemetry.local("memory")
    process = Process(SystemClock(), new_rng(1), telemetry)
    parsed = MemorySettings.model_validate(values | settings)
    async with (
        serving("memory", parsed, _believing, process) as bound,
        grpc.aio.insecure_channel(str(bound.grpc)) as channel,
    ):
        yield Replica(MemoryServiceStub(channel), str(bound.admin), telemetry)


def refusal(caught: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> MeshError:
    """The typed error behind a failed call."""
    return decode(caught.value, "memory")
