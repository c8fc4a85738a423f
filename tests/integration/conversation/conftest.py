"""The conversation service, served for real, among fake peers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from pydantic import SecretStr

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1.conversation_pb2_grpc import ConversationServiceStub
from agentmesh.conversation.v1.job_pb2_grpc import JobServiceStub
from libs.core.clock import SystemClock
from libs.core.ids import new_request_id
from libs.core.rng import new_rng
from libs.server.lifecycle import Bound, Process, serving
from libs.store.embedded import EmbeddedRedis
from libs.telemetry.telemetry import Telemetry
from services.conversation.bootstrap import build, build_worker
from services.conversation.settings import Settings
from tests.integration.conversation.peers import Peers, peers

if TYPE_CHECKING:
    # The generated modules have no such classes: they only type what the stubs are on an asyncio channel.
    from agentmesh.conversation.v1.conversation_pb2_grpc import ConversationServiceAsyncStub
    from agentmesh.conversation.v1.job_pb2_grpc import JobServiceAsyncStub

TIMEOUT: Final = 20.0


@dataclass
class Client:
    """A caller with a credential; every call has a deadline."""

    channel: grpc.aio.Channel
    key: str = "key-of-ada"
    metadata: list[tuple[str, str]] = field(init=False)
    conversations: "ConversationServiceAsyncStub" = field(init=False)
    jobs: "JobServiceAsyncStub" = field(init=False)

    def __post_init__(self) -> None:
        self.metadata = [("authorization", f"Bearer {self.key}")]
        self.conversations = ConversationServiceStub(self.channel)
        self.jobs = JobServiceStub(self.channel)

    def known_as(self, key: str) -> "Client":
        """The same channel, another caller."""
        return Client(self.channel, key)

    async def create(self, system_prompt: str = "") -> str:
        request = pb.CreateConversationRequest(request_id=new_request_id(), system_prompt=system_prompt)
        made = await self.conversations.CreateConversation(request, metadata=self.metadata, timeout=TIMEOUT)
        return made.conversation.conversation_id

    async def send(
        self, conversation_id: str, content: str = "Hi?", request_id: str = "", **options: bool
    ) -> pb.SendMessageResponse:
        request = pb.SendMessageRequest(
            request_id=request_id or new_request_id(), conversation_id=conversation_id, content=content
        )
        request.options.bypass_cache = options.get("bypass_cache", False)
        return await self.conversations.SendMessage(request, metadata=self.metadata, timeout=TIMEOUT)

    def stream(
        self, conversation_id: str, content: str = "Hi?", request_id: str = ""
    ) -> "grpc.aio.UnaryStreamCall[pb.StreamMessageRequest, pb.StreamMessageResponse]":
        request = pb.StreamMessageRequest(
            request_id=request_id or new_request_id(), conversation_id=conversation_id, content=content
        )
        return self.conversations.StreamMessage(request, metadata=self.metadata, timeout=TIMEOUT)


@dataclass
class House:
    """The service, its peers and a caller."""

    peers: Peers
    client: Client
    settings: Settings
    bound: Bound


def settings_for(redis: EmbeddedRedis, around: Peers, fallback_answer: str = "") -> Settings:
    return Settings(
        redis_url=redis.url,
        auth_target=around.target("auth"),
        memory_target=around.target("memory"),
        semantic_cache_target=around.target("semantic_cache"),
        model_router_target=around.target("model_router"),
        service_secret=SecretStr("service-secret-that-is-long-enough-for-tests"),
        fallback_answer=fallback_answer,
        drain_wait=0,
        drain_grace=1,
        readiness_interval=0.05,
        job_backoff_seconds=0.01,
    )


def process(name: str) -> Process:
    return Process(SystemClock(), new_rng(1), Telemetry.local(name))


@asynccontextmanager
async def front_door(settings: Settings) -> AsyncIterator[tuple[Bound, Client]]:
    """The service on loopback, and a caller."""
    async with (
        serving("conversation", settings, build, process("conversation")) as bound,
        grpc.aio.insecure_channel(str(bound.grpc), options=[("grpc.enable_http_proxy", 0)]) as channel,
    ):
        yield bound, Client(channel)


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[None]:
    """A worker process."""
    async with serving("conversation-worker", settings, build_worker, process("conversation-worker")):
        yield


@pytest.fixture
async def house(redis: EmbeddedRedis) -> AsyncIterator[House]:
    async with peers() as around:
        settings = settings_for(redis, around)
        async with front_door(settings) as (bound, client):
            yield House(around, client, settings, bound)


@dataclass(frozen=True)
class Failure:
    """What a caller reads about a failed call, but for the trace id."""

    code: grpc.StatusCode
    reason: str
    details: str
    fields: tuple[str, ...]


def failure(error: grpc.aio.AioRpcError) -> Failure:
    trailing = error.trailing_metadata()
    assert trailing is not None
    status = Status.FromString(dict(trailing)["grpc-status-details-bin"])
    info, bad = ErrorInfo(), BadRequest()
    assert sum(detail.Unpack(info) for detail in status.details) == 1
    for detail in status.details:
        detail.Unpack(bad)
    return Failure(
        error.code(), info.reason, error.details() or "", tuple(found.field for found in bad.field_violations)
    )
