"""MemoryService on the wire."""

from typing import Final

from prometheus_client import Histogram

from agentmesh.memory.v1 import memory_pb2 as pb
from agentmesh.memory.v1.memory_pb2_grpc import MemoryServiceServicer
from libs.core.context import require
from libs.core.errors import MeshError, Reason
from services.memory import convert, pages
from services.memory.context import choose
from services.memory.ports import ConversationKey, History
from services.memory.settings import MemorySettings

_NEWEST_MESSAGES: Final = 4
"""Read even if the budget does not hold them: enough to find the newest whole turn, which is shortened then."""


class MemoryServicer(MemoryServiceServicer):
    """Acts for the tenant and the user of the caller's token, and for no other.

    Args:
        history: where conversations are kept.
        settings: default budget and how far back GetContext looks.
        context_tokens: observes the size of each context.
    """

    def __init__(self, history: History, settings: MemorySettings, context_tokens: Histogram) -> None:
        self._history: Final = history
        self._default_budget: Final = settings.context_tokens
        self._max_messages: Final = settings.context_messages
        self._context_tokens: Final = context_tokens

    async def AppendMessages(self, request: pb.AppendMessagesRequest, context: object) -> pb.AppendMessagesResponse:
        """Add a turn's messages, once per request_id."""
        records = [convert.record(message, request.request_id) for message in request.messages]
        appended = await self._history.append(_key(request.conversation_id), request.request_id, records)
        return pb.AppendMessagesResponse(message_count=appended.message_count, duplicate=appended.duplicate)

    async def GetContext(self, request: pb.GetContextRequest, context: object) -> pb.GetContextResponse:
        """Return the newest whole turns that fit the budget."""
        budget = request.max_tokens or self._default_budget
        key = _key(request.conversation_id)
        tail = await self._history.tail(key, budget, self._max_messages, _NEWEST_MESSAGES)
        chosen = choose([convert.spoken(record) for record in tail.records], budget)
        self._context_tokens.observe(chosen.token_count)
        log_fields = require().log_fields
        log_fields["context_tokens"] = chosen.token_count
        if chosen.shortened_count:
            log_fields["context_shortened"] = chosen.shortened_count
        return convert.context_response(chosen, tail.message_count)

    async def ListMessages(self, request: pb.ListMessagesRequest, context: object) -> pb.ListMessagesResponse:
        """Page through a conversation, oldest first."""
        offset = pages.decode(request.page_token, request.conversation_id, request.request_id)
        size = request.page_size or convert.DEFAULT_PAGE_SIZE
        page = await self._history.slice(_key(request.conversation_id), request.request_id, offset, size)
        token = pages.encode(offset + size, request.conversation_id, request.request_id) if page.more else ""
        return pb.ListMessagesResponse(messages=map(convert.message, page.bodies), next_page_token=token)

    async def DeleteConversation(
        self, request: pb.DeleteConversationRequest, context: object
    ) -> pb.DeleteConversationResponse:
        """Remove every message of a conversation."""
        removed = await self._history.delete(_key(request.conversation_id), request.request_id)
        return pb.DeleteConversationResponse(deleted_count=removed)


def _key(conversation_id: str) -> ConversationKey:
    principal = require().principal
    if principal is None or not principal.tenant_id:
        raise MeshError(Reason.MISSING_CREDENTIALS)
    return ConversationKey(principal.tenant_id, principal.user_id, conversation_id)
