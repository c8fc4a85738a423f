"""The whole semantic cache in this process: real gRPC in front, real Redis behind it, and a model of choice."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

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

_VERBS = ["clean", "paint", "repair", "sell", "carry", "build", "wash"]
_NOUNS = ["lamp", "boat", "stone", "piano", "violin", "carpet", "garden", "window", "bottle", "ladder", "mirror"]

_seeds = count(1)


class Believing(Authenticator):
    """Takes callers for whom they say they are: `tenant/user/audience/scopes`."""

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        tenant, user, audience, scopes = credential.split("/")
        return Authenticated(Principal(tenant, user, frozenset(scopes.split()), audience=audience), credential)


def caller(tenant: str = "t1", user: str = "u1", audience: str = "agentmesh-internal", scopes: str = "") -> Metadata:
    """The metadata of a call made for a user."""
    return (("authorization", f"Bearer {tenant}/{user}/{audience}/{scopes}"),)


def admin(tenant: str = "t1", user: str = "u1") -> Metadata:
    """The metadata of a call that an administrator of a tenant makes."""
    return caller(tenant, user, "agentmesh", "tenant.admin")


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
        self,
        text: str,
        *,
        who: Metadata | None = None,
        where: pb.Scope | None = None,
        exact_only: bool = False,
        max_wait: float | None = None,
        explain: bool = False,
    ) -> pb.LookupResponse:
        wait = None if max_wait is None else Duration(nanos=round(max_wait * 1e9) % 10**9, seconds=int(max_wait))
        request = pb.LookupRequest(
            scope=where or scope(), text=text, exact_only=exact_only, max_wait=wait, explain=explain
        )
        return await self.stub.Lookup(request, metadata=who or caller())

    async def put(
        self,
        text: str,
        answer: str = "the answer",
        *,
        who: Metadata | None = None,
        where: pb.Scope | None = None,
        embedding: bytes = b"",
        lease_token: bytes = b"",
        receipt: bytes = b"",
        tags: Sequence[str] = (),
        pieces: Sequence[int] = (),
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
            lease_token=lease_token,
            receipt=receipt,
            tags=tags,
            piece_lengths=pieces,
        )
        return await self.stub.Put(request, metadata=who or caller())

    async def learn(self) -> None:
        """Let the tenant of `caller` make the experience that rephrasings are answered alike, in a scope of its own.

        Without any experience nothing is served by meaning.
        """
        where = pb.Scope(personal=False, model="lessons")
        for number in range(60):
            verb, noun = _VERBS[number % len(_VERBS)], _NOUNS[number % len(_NOUNS)]
            for text in (f"How do I {verb} my {noun}?", f"How do I {verb} my {noun} please?"):
                missed = await self.lookup(text, where=where)
                if missed.HasField("hit"):
                    continue
                await self.put(text, f"{verb} {noun}", where=where, embedding=missed.embedding, receipt=missed.receipt)
        async with asyncio.timeout(20):
            while (await self.statistics())["experience"]["calibrations"] == 0:
                # Only tenants that are asked for are kept up to date.
                await self.lookup("something", where=where)

    async def served(self, text: str, who: Metadata | None = None) -> pb.LookupResponse:
        """A hit for `text`, whose embedding may not be there yet, and which may be held back for audits before."""
        async with asyncio.timeout(20):
            while True:
                response = await self.lookup(text, who=who)
                if response.HasField("hit"):
                    return response

    async def stats(self, who: Metadata | None = None) -> pb.GetStatsResponse:
        return await self.stub.GetStats(pb.GetStatsRequest(), metadata=who or caller(audience="agentmesh"))

    async def invalidate(self, request: pb.InvalidateRequest, who: Metadata | None = None) -> None:
        request.request_id = new_request_id()
        await self.stub.Invalidate(request, metadata=who or admin())

    async def report(self, receipt: bytes, who: Metadata | None = None, *, right: bool = False) -> None:
        request = pb.ReportOutcomeRequest(
            request_id=new_request_id(), receipt=receipt, outcome=pb.OUTCOME_RIGHT if right else pb.OUTCOME_WRONG
        )
        await self.stub.ReportOutcome(request, metadata=who or caller())

    async def erase(self, user: str, who: Metadata | None = None) -> int:
        request = pb.EraseUserRequest(request_id=new_request_id(), user_id=user)
        return (await self.stub.EraseUser(request, metadata=who or admin())).entry_count

    async def renew(
        self, text: str, token: bytes, *, who: Metadata | None = None, where: pb.Scope | None = None
    ) -> bool:
        request = pb.RenewLeaseRequest(scope=where or scope(), text=text, lease_token=token)
        return (await self.stub.RenewLease(request, metadata=who or caller())).renewed

    async def release(
        self,
        text: str,
        token: bytes,
        *,
        reusable: bool = True,
        who: Metadata | None = None,
        where: pb.Scope | None = None,
    ) -> None:
        reason = pb.RELEASE_REASON_FAILED if reusable else pb.RELEASE_REASON_NOT_REUSABLE
        request = pb.ReleaseLeaseRequest(scope=where or scope(), text=text, lease_token=token, reason=reason)
        await self.stub.ReleaseLease(request, metadata=who or caller())

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


def fake_model(_folder: ModelFolder, _threads: int, _device: str) -> EmbeddingModel:
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
        "invalidation_seconds": 0.1,
    }
    telemetry = Telemetry.local("semantic_cache")
    # Of its own, as in production: chance is what tells the lease tokens of replicas apart.
    process = Process(SystemClock(), new_rng(next(_seeds)), telemetry)
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
