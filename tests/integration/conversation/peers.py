"""The services a conversation talks to, as real gRPC servers that a test can read, hold up and take down."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.auth.v1 import auth_pb2
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceServicer, add_AuthServiceServicer_to_server
from agentmesh.memory.v1 import memory_pb2
from agentmesh.memory.v1.memory_pb2_grpc import MemoryServiceServicer, add_MemoryServiceServicer_to_server
from agentmesh.model_router.v1 import model_router_pb2
from agentmesh.model_router.v1.model_router_pb2_grpc import (
    ModelRouterServiceServicer,
    add_ModelRouterServiceServicer_to_server,
)
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import add_SemanticCacheServiceServicer_to_server
from agentmesh.types.v1 import types_pb2
from libs.core.clock import SystemClock
from libs.testing.inprocess import Register, RunningServer, serving
from tests.integration.conversation.cache_peer import FakeCache
from tests.integration.conversation.callers import Context, bearer

USERS: Final = {"key-of-ada": "ada", "key-of-eve": "eve"}
TENANT: Final = "tenant-one"


class FakeAuth(AuthServiceServicer):
    """Knows the keys of `USERS`, and grants all that is wanted; a user's internal token is `internal:<user>`."""

    def __init__(self) -> None:
        self.authorized: list[str] = []
        self.limited = False
        self.lifetime = 900.0

    async def Authorize(  # noqa: N802 - the contract's name
        self, request: auth_pb2.AuthorizeRequest, context: Context
    ) -> auth_pb2.AuthorizeResponse:
        assert bearer(context) == "internal:conversation"
        self.authorized.append(request.method)
        if self.limited:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")
        user = USERS.get(request.credential)
        if user is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "unknown")
        principal = auth_pb2.Principal(tenant_id=TENANT, user_id=user, scopes=["chat"], key_id="k")
        return auth_pb2.AuthorizeResponse(
            principal=principal,
            internal_token=f"internal:{user}",
            expire_time=self._later(),
            granted_calls=max(1, request.wanted_calls),
            grant_duration=Duration(nanos=200_000_000),
        )

    async def IssueToken(  # noqa: N802 - the contract's name
        self, request: auth_pb2.IssueTokenRequest, context: Context
    ) -> auth_pb2.IssueTokenResponse:
        who = request.service.on_behalf_of.user_id or request.service.service
        return auth_pb2.IssueTokenResponse(token=f"internal:{who}", expire_time=self._later())

    def _later(self) -> Timestamp:
        return Timestamp(seconds=int(SystemClock().time() + self.lifetime))


class FakeMemory(MemoryServiceServicer):
    """Conversations by the token's user, each request_id once."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.forgotten: set[str] = set()
        """Ids of conversations that were removed, which take nothing more."""
        self.merges = False
        """Whether a context's messages of several turns become one."""
        self.refuses: grpc.StatusCode | None = None
        self.conversations: dict[tuple[str, str], list[memory_pb2.Message]] = {}

    def contents(self, user: str, conversation_id: str) -> list[str]:
        """What a user's conversation holds."""
        return [message.content for message in self._of(user, conversation_id)]

    def _of(self, user: str, conversation_id: str) -> list[memory_pb2.Message]:
        return self.conversations.setdefault((f"internal:{user}", conversation_id), [])

    def _asked(self, name: str, context: Context, conversation_id: str) -> list[memory_pb2.Message]:
        self.calls.append(name)
        return self.conversations.setdefault((bearer(context), conversation_id), [])

    async def AppendMessages(  # noqa: N802 - the contract's name
        self, request: memory_pb2.AppendMessagesRequest, context: Context
    ) -> memory_pb2.AppendMessagesResponse:
        kept = self._asked("AppendMessages", context, request.conversation_id)
        if self.refuses is not None:
            await context.abort(self.refuses, "refused")
        if request.conversation_id in self.forgotten:
            return memory_pb2.AppendMessagesResponse(message_count=0, duplicate=True)
        duplicate = any(message.request_id == request.request_id for message in kept)
        if not duplicate:
            for message in request.messages:
                message.request_id = request.request_id
                kept.append(message)
        return memory_pb2.AppendMessagesResponse(message_count=len(kept), duplicate=duplicate)

    async def GetContext(  # noqa: N802 - the contract's name
        self, request: memory_pb2.GetContextRequest, context: Context
    ) -> memory_pb2.GetContextResponse:
        kept = self._asked("GetContext", context, request.conversation_id)
        said = [types_pb2.ChatMessage(role=message.role, content=message.content) for message in kept]
        if self.merges:
            said = [types_pb2.ChatMessage(role=types_pb2.ROLE_USER, content="\n\n".join(each.content for each in said))]
        return memory_pb2.GetContextResponse(messages=said, message_count=len(kept))

    async def ListMessages(  # noqa: N802 - the contract's name
        self, request: memory_pb2.ListMessagesRequest, context: Context
    ) -> memory_pb2.ListMessagesResponse:
        kept = self._asked("ListMessages", context, request.conversation_id)
        wanted = request.request_id
        return memory_pb2.ListMessagesResponse(messages=[m for m in kept if wanted in {"", m.request_id}])

    async def DeleteConversation(  # noqa: N802 - the contract's name
        self, request: memory_pb2.DeleteConversationRequest, context: Context
    ) -> memory_pb2.DeleteConversationResponse:
        kept = self._asked("DeleteConversation", context, request.conversation_id)
        count = len(kept)
        self.forgotten.add(request.conversation_id)
        kept.clear()
        return memory_pb2.DeleteConversationResponse(deleted_count=count)


class FakeRouter(ModelRouterServiceServicer):
    """Says its parts; after the first one it holds still if `hold` is set, and waits for the `gate` if there is one."""

    def __init__(self) -> None:
        self.asked: list[model_router_pb2.GenerateRequest] = []
        self.parts = ["Hello", " there"]
        self.failed_before: list[str] = []
        self.hold = False
        self.gate: asyncio.Event | None = None
        self.fails: grpc.StatusCode | None = None
        """How the first answer that goes on from here ends."""
        self.stop_reason = model_router_pb2.STOP_REASON_END_TURN
        self.writing = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def Generate(  # noqa: N802 - the contract's name
        self, request: model_router_pb2.GenerateRequest, context: Context
    ) -> AsyncGenerator[model_router_pb2.GenerateResponse, None]:
        self.asked.append(request)
        try:
            for part in self.parts:
                yield model_router_pb2.GenerateResponse(text=part)
                self.writing.set()
                if self.hold:
                    await asyncio.Event().wait()
                if self.gate is not None:
                    await self.gate.wait()
                if self.fails is not None:
                    failure, self.fails = self.fails, None
                    await context.abort(failure, "broken")
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        yield model_router_pb2.GenerateResponse(
            finished=model_router_pb2.Finished(
                model="model-a",
                stop_reason=self.stop_reason,
                usage=types_pb2.TokenUsage(input_tokens=12, output_tokens=5),
                cost_usd_micros=340,
                hops=[
                    *(model_router_pb2.Hop(model=model, failure="x") for model in self.failed_before),
                    model_router_pb2.Hop(model="model-a"),
                ],
            )
        )


class Peers:
    """All four, each on a port that it keeps through `stop` and `start`."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.auth: Final = FakeAuth()  # type: ignore[abstract]  # conversation calls only what is there
        self.memory: Final = FakeMemory()
        self.cache: Final = FakeCache()  # type: ignore[abstract]  # conversation calls only what is there
        self.router: Final = FakeRouter()  # type: ignore[abstract]  # conversation calls only what is there
        self._stack: Final = stack
        self._registrations: Final[dict[str, Register]] = {
            "auth": partial(add_AuthServiceServicer_to_server, self.auth),
            "memory": partial(add_MemoryServiceServicer_to_server, self.memory),
            "semantic_cache": partial(add_SemanticCacheServiceServicer_to_server, self.cache),
            "model_router": partial(add_ModelRouterServiceServicer_to_server, self.router),
        }
        self._running: Final[dict[str, RunningServer]] = {}

    async def start(self, *names: str) -> None:
        """Start some, or all."""
        for name in names or tuple(self._registrations):
            before = self._running.get(name)
            port = int(before.address.rpartition(":")[2]) if before is not None else 0
            self._running[name] = await self._stack.enter_async_context(serving(self._registrations[name], port=port))

    async def stop(self, name: str) -> None:
        """Take one down; its calls in flight are cancelled."""
        await self._running[name].server.stop(None)

    def target(self, name: str) -> str:
        """Where one is, whether it runs or not."""
        return self._running[name].target


@asynccontextmanager
async def peers() -> AsyncIterator[Peers]:
    """All running."""
    async with AsyncExitStack() as stack:
        made = Peers(stack)
        await made.start()
        yield made
