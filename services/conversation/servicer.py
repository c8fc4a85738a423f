"""ConversationService: contract <-> domain, no decisions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1.conversation_pb2_grpc import ConversationServiceServicer
from libs.core.context import require
from libs.core.errors import MeshError, Reason
from services.conversation.accounting import AccountedTurns
from services.conversation.conversations import Conversations
from services.conversation.convert import answer_proto, conversation_proto, message_proto, report_proto, turn_request
from services.conversation.turn import Answer, Owner, TextPart

_DEFAULT_PAGE: Final = 50


class ConversationServicer(ConversationServiceServicer):
    """Serves conversations and their turns."""

    def __init__(self, conversations: Conversations, turns: AccountedTurns) -> None:
        self._conversations: Final = conversations
        self._turns: Final = turns

    async def CreateConversation(
        self, request: pb.CreateConversationRequest, context: object
    ) -> pb.CreateConversationResponse:
        """Begin a conversation."""
        made = await self._conversations.create(owner(), request.request_id, request.title, request.system_prompt)
        return pb.CreateConversationResponse(conversation=conversation_proto(made))

    async def GetConversation(self, request: pb.GetConversationRequest, context: object) -> pb.GetConversationResponse:
        """One conversation."""
        found = await self._conversations.get(owner(), request.conversation_id)
        return pb.GetConversationResponse(conversation=conversation_proto(found))

    async def ListConversations(
        self, request: pb.ListConversationsRequest, context: object
    ) -> pb.ListConversationsResponse:
        """A page of conversations."""
        page = await self._conversations.list(owner(), request.page_size or _DEFAULT_PAGE, request.page_token)
        return pb.ListConversationsResponse(
            conversations=[conversation_proto(item) for item in page.items], next_page_token=page.next_token
        )

    async def DeleteConversation(
        self, request: pb.DeleteConversationRequest, context: object
    ) -> pb.DeleteConversationResponse:
        """Remove a conversation."""
        await self._conversations.delete(owner(), request.conversation_id, request.request_id)
        return pb.DeleteConversationResponse()

    async def ListMessages(self, request: pb.ListMessagesRequest, context: object) -> pb.ListMessagesResponse:
        """A page of messages."""
        page = await self._conversations.messages(
            owner(), request.conversation_id, request.page_size or _DEFAULT_PAGE, request.page_token
        )
        return pb.ListMessagesResponse(
            messages=[message_proto(item) for item in page.items], next_page_token=page.next_token
        )

    async def SendMessage(self, request: pb.SendMessageRequest, context: object) -> pb.SendMessageResponse:
        """Answer, whole."""
        async with aclosing(self._turns.run(turn_request(owner(), request, streaming=False))) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return answer_proto(event)
        raise MeshError(Reason.INTERNAL)

    async def StreamMessage(
        self, request: pb.StreamMessageRequest, context: object
    ) -> AsyncGenerator[pb.StreamMessageResponse, None]:
        """Answer, as it is written."""
        async with aclosing(self._turns.run(turn_request(owner(), request, streaming=True))) as events:
            async for event in events:
                if isinstance(event, TextPart):
                    yield pb.StreamMessageResponse(text=event.text)
                else:
                    yield pb.StreamMessageResponse(
                        message=message_proto(event.message), report=report_proto(event.report)
                    )


def owner() -> Owner:
    """The caller, as the owner of what is asked for."""
    principal = require().principal
    if principal is None:
        raise MeshError(Reason.MISSING_CREDENTIALS)
    return Owner(principal.tenant_id, principal.user_id)
