"""The whole semantic cache in this process: real gRPC in front, real Redis behind it, and a model of choice."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import grpc
import pytest

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import EmbeddingServiceStub, SemanticCacheServiceStub
from agentmesh.types.v1.types_pb2 import MODEL_TIER_BALANCED, TokenUsage
from libs.core.clock import SystemClock
from libs.core.context import Principal
from libs.core.errors import MeshError
from libs.core.ids import new_request_id
from libs.core.rng import new_rng
from libs.mesh.errors import decode
from libs.server.lifecycle import Process, serving
from libs.server.runtime import Runtime
from libs.server.spec import Authenticated, Authenticator, ServiceSpec
from libs.telemetry.telemetry import Telemetry
from services.semantic_cache.bootstrap import LoadModel, build
from services.semantic_cache.model_folder import ModelFolder
from services.semantic_cache.ports import EmbeddingModel
from services.semantic_cache.settings import SemanticCacheSettings
from tests.unit.semantic_cache.fakes import DIMENSION, FakeModel

if TYPE_CHECKING:
    from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import (
        EmbeddingServiceAsyncStub,
        SemanticCacheServiceAsyncStub,
    )

Metadata = tuple[tuple[str, str], ...]


class Believing(Authenticator):
    """Takes callers for whom they say they are: `tenant/user/audience`."""

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        tenant, user, audience = credential.split("/")
        return Authenticated(Principal(tenant, user, audience=audience), credential)


def caller(tenant: str = "t1", user: str = "u1", audience: str = "agentmesh-internal") -> Metadata:
    """The metadata of a call made for a user."""
    return (("authorization", f"Bearer {tenant}/{user}/{audience}"),)


def scope(*, personal: bool = False, context: str = "") -> pb.Scope:
    return pb.Scope(tier=MODEL_TIER_BALANCED, personal=personal, context_fingerprint=context)


@dataclass(slots=True)
class Replica:
    """A replica that runs."""

    stub: "SemanticCacheServiceAsyncStub"
    embedding: "EmbeddingServiceAsyncStub"
    admin: str
    telemetry: Telemetry

    async def lookup(
        self, text: str, *, who: Metadata | None = None, where: pb.Scope | None = None, exact_only: bool = False
    ) -> pb.LookupResponse:
        request = pb.LookupRequest(scope=where or scope(), text=text, exact_only=exact_only)
        return await self.stub.Lookup(request, metadata=who or caller())

    async def put(
        self,
        text: str,
        answer: str = "the answer",
        *,
        who: Metadata | None = None,
        where: pb.Scope | None = None,
        embedding: bytes = b"",
    ) -> pb.PutResponse:
        request = pb.PutRequest(
            request_id=new_request_id(),
            scope=where or scope(),
            text=text,
            answer=answer,
            model="claude-haiku-5-5",
            usage=TokenUsage(input_tokens=5, output_tokens=7),
            cost_usd_micros=1200,
            embedding=embedding,
        )
        return await self.stub.Put(request, metadata=who or caller())

    async def statistics(self) -> dict[str, dict[str, int]]:
        """What its layers hold."""
        async with aiohttp.ClientSession() as http, http.get(f"http://{self.admin}/cache") as response:
            parsed: dict[str, dict[str, int]] = json.loads(await response.text())
            return parsed

    async def until(self, condition: Callable[[dict[str, dict[str, int]]], bool]) -> None:
        """Wait until the statistics fulfil `condition`."""
        async with asyncio.timeout(20):
            while not condition(await self.statistics()):
                pass

    async def enriched(self, count: int) -> None:
        """Wait until `count` background tasks are done."""
        await self.until(lambda statistics: statistics["backlog"]["done"] >= count)

    async def ready(self) -> bool:
        """Whether it reports that it can serve."""
        async with aiohttp.ClientSession() as http, http.get(f"http://{self.admin}/readyz") as response:
            return response.status == 200


def fake_model(_folder: ModelFolder, _threads: int) -> EmbeddingModel:
    return FakeModel()


class FakeModelSettings(SemanticCacheSettings):
    """Says of the fake model what is said of real ones."""

    def model_folder(self) -> ModelFolder | None:
        return ModelFolder(Path(), "fake", DIMENSION) if self.embeddings_enabled else None


@asynccontextmanager
async def replica(
    redis_url: str, load_model: LoadModel = fake_model, *, real_model: bool = False, **settings: object
) -> AsyncIterator[Replica]:
    """The whole service, on free ports of this machine, with its model loaded."""

    @asynccontextmanager
    async def believing(settings: SemanticCacheSettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
        async with build(settings, runtime, load_model) as spec:
            yield replace(spec, authenticator=Believing())

    values: dict[str, object] = {
        "redis_url": redis_url,
        # Never asked: the tests bring an authenticator of their own.
        "auth_target": "static:///127.0.0.1:1",
        "service_secret": "secret",
        "drain_wait": 0.0,
        "drain_grace": 1.0,
        "readiness_interval": 0.05,
    }
    telemetry = Telemetry.local("semantic_cache")
    process = Process(SystemClock(), new_rng(1), telemetry)
    kind = SemanticCacheSettings if real_model else FakeModelSettings
    async with (
        serving("semantic_cache", kind.model_validate(values | settings), believing, process) as bound,
        grpc.aio.insecure_channel(str(bound.grpc)) as channel,
    ):
        running = Replica(SemanticCacheServiceStub(channel), EmbeddingServiceStub(channel), str(bound.admin), telemetry)
        async with asyncio.timeout(60):
            while not await running.ready():
                pass
        yield running


def refusal(caught: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> MeshError:
    """The typed error behind a failed call."""
    return decode(caught.value, "semantic_cache")
