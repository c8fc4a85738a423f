"""The ports of a turn behind the stubs of peers: cache, memory, model router. Each call is one RPC."""

from collections.abc import AsyncGenerator
from typing import Final

from agentmesh.memory.v1 import memory_pb2, memory_pb2_grpc
from agentmesh.model_router.v1 import model_router_pb2, model_router_pb2_grpc
from agentmesh.types.v1 import types_pb2
from libs.core.errors import not_found
from libs.mesh.errors import typed_errors
from services.conversation.convert import (
    layer_proto,
    role_proto,
    tier_proto,
    timestamp,
    unix_seconds,
    usage_domain,
    usage_proto,
)
from services.conversation.ports import (
    ChatMessage,
    Generated,
    GenerationRequest,
    History,
    Models,
    Page,
    Recollection,
)
from services.conversation.turn import (
    Answer,
    CacheLayer,
    Message,
    Report,
    Role,
    Route,
    StopReason,
    TextPart,
    Turn,
)


class MemoryHistory(History):
    """History in the memory service."""

    def __init__(self, stub: "memory_pb2_grpc.MemoryServiceAsyncStub", timeout: float) -> None:
        self._stub: Final = stub
        self._timeout: Final = timeout

    async def context(self, conversation_id: str, query: str, max_tokens: int) -> Recollection:
        """The history worth reading before the next answer."""
        request = memory_pb2.GetContextRequest(conversation_id=conversation_id, query=query, max_tokens=max_tokens)
        with typed_errors("memory"):
            response = await self._stub.GetContext(request, timeout=self._timeout)
        messages = tuple(ChatMessage(Role(message.role), message.content) for message in response.messages)
        return Recollection(messages, response.message_count)

    async def append(self, turn: Turn) -> bool:
        """Keep a turn."""
        with typed_errors("memory"):
            response = await self._stub.AppendMessages(append_request(turn), timeout=self._timeout)
        if response.duplicate and response.message_count == 0:
            # An empty conversation cannot have had the turn before: memory was told to forget it.
            raise not_found("conversation")
        return not response.duplicate

    async def find_turn(self, conversation_id: str, request_id: str) -> Answer | None:
        """The answer kept under a request_id."""
        request = memory_pb2.ListMessagesRequest(conversation_id=conversation_id, request_id=request_id)
        with typed_errors("memory"):
            response = await self._stub.ListMessages(request, timeout=self._timeout)
        for message in response.messages:
            if message.role == types_pb2.ROLE_ASSISTANT:
                return Answer(_message(message), _report(message))
        return None

    async def list(self, conversation_id: str, size: int, token: str) -> Page[Message]:
        """Oldest first."""
        request = memory_pb2.ListMessagesRequest(conversation_id=conversation_id, page_size=size, page_token=token)
        with typed_errors("memory"):
            response = await self._stub.ListMessages(request, timeout=self._timeout)
        return Page(tuple(_message(message) for message in response.messages), response.next_page_token)

    async def delete(self, conversation_id: str, request_id: str) -> None:
        """Forget a conversation."""
        request = memory_pb2.DeleteConversationRequest(conversation_id=conversation_id, request_id=request_id)
        with typed_errors("memory"):
            await self._stub.DeleteConversation(request, timeout=self._timeout)


def append_request(turn: Turn) -> memory_pb2.AppendMessagesRequest:
    """A turn as memory keeps it; also the form in which it waits in the outbox."""
    answer, report = turn.answer.message, turn.answer.report
    return memory_pb2.AppendMessagesRequest(
        request_id=turn.request_id,
        conversation_id=turn.conversation_id,
        messages=[
            memory_pb2.Message(
                message_id=turn.question.message_id,
                role=types_pb2.ROLE_USER,
                content=turn.question.content,
                create_time=timestamp(turn.question.create_time),
            ),
            memory_pb2.Message(
                message_id=answer.message_id,
                role=types_pb2.ROLE_ASSISTANT,
                content=answer.content,
                create_time=timestamp(answer.create_time),
                model=report.model,
                usage=usage_proto(report.usage),
                cost_usd_micros=report.cost_usd_micros,
                cache_layer=layer_proto(report.cache_layer),
            ),
        ],
    )


def _message(message: memory_pb2.Message) -> Message:
    return Message(
        message.message_id,
        Role(message.role),
        message.content,
        unix_seconds(message.create_time),
        message.request_id,
    )


def _report(message: memory_pb2.Message) -> Report:
    layer = CacheLayer(message.cache_layer)
    return Report(
        model=message.model,
        usage=usage_domain(message.usage),
        cost_usd_micros=message.cost_usd_micros,
        cache_layer=layer,
        route=Route.MODEL if layer is CacheLayer.NONE else Route.CACHE,
    )


class RouterModels(Models):
    """Models behind the model router."""

    def __init__(self, stub: "model_router_pb2_grpc.ModelRouterServiceAsyncStub", default_max_tokens: int) -> None:
        self._stub: Final = stub
        self._default_max_tokens: Final = default_max_tokens

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[TextPart | Generated, None]:
        """Text as it is written, then how it ended."""
        with typed_errors("model_router"):
            call = self._stub.Generate(self._request(request))
            try:
                async for response in call:
                    if response.text:
                        yield TextPart(response.text)
                    if response.HasField("finished"):
                        yield _generated(response.finished)
            finally:
                # A finished call is not disturbed; an abandoned one stops costing money.
                call.cancel()

    def _request(self, request: GenerationRequest) -> model_router_pb2.GenerateRequest:
        options = request.options
        return model_router_pb2.GenerateRequest(
            request_id=request.request_id,
            messages=[
                types_pb2.ChatMessage(role=role_proto(message.role), content=message.content)
                for message in request.messages
            ],
            system_prompt=request.system_prompt,
            tier=tier_proto(options.tier),
            model=options.model,
            max_tokens=options.max_tokens or self._default_max_tokens,
            stream=request.streaming,
        )


def _generated(end: model_router_pb2.Finished) -> Generated:
    return Generated(
        end.model,
        StopReason(end.stop_reason),
        usage_domain(end.usage),
        end.cost_usd_micros,
        max(len(end.hops) - 1, 0),
    )
