"""Conversations themselves: making, finding, listing and removing them."""

import re
from typing import Final

from libs.core.clock import Clock
from libs.core.errors import not_found
from libs.core.ids import sortable_id
from services.conversation.ports import Conversation, ConversationStore, History, Page
from services.conversation.turn import Message, Owner

_ID: Final = re.compile(r"cnv_[0-9a-z]{26}")


def is_conversation_id(text: str) -> bool:
    """Whether `text` has the form of an id this service made."""
    return _ID.fullmatch(text) is not None


class Conversations:
    """What an owner can do with conversations. Another owner's are as missing as those that never were."""

    def __init__(self, store: ConversationStore, history: History, clock: Clock) -> None:
        self._store: Final = store
        self._history: Final = history
        self._clock: Final = clock

    async def create(self, owner: Owner, request_id: str, title: str, system_prompt: str) -> Conversation:
        """A new conversation; the same request_id again gives the same one."""
        now = self._clock.time()
        new = Conversation(sortable_id("cnv", self._clock), title, system_prompt, now, now, 0)
        return await self._store.create(owner, request_id, new)

    async def get(self, owner: Owner, conversation_id: str) -> Conversation:
        """The conversation, or NOT_FOUND."""
        record = await self._store.get(owner, conversation_id)
        if record is None:
            raise not_found("conversation")
        return record

    async def list(self, owner: Owner, size: int, token: str) -> Page[Conversation]:
        """The latest made first."""
        return await self._store.list(owner, size, token)

    async def messages(self, owner: Owner, conversation_id: str, size: int, token: str) -> Page[Message]:
        """Oldest first, or NOT_FOUND."""
        await self.get(owner, conversation_id)
        return await self._history.list(conversation_id, size, token)

    async def delete(self, owner: Owner, conversation_id: str, request_id: str) -> None:
        """Close the conversation to turns, then remove the messages, then the record. NOT_FOUND if missing.

        A removal that was cut off leaves a conversation that nobody can use; asking again, with the same request_id
        or another, goes on. A request_id that has removed the conversation before does so again without a fault.
        """
        # First, because memory takes nothing more for a conversation that it has forgotten: a turn that could still
        # begin would be answered and lost.
        if not await self._store.begin_delete(owner, conversation_id):
            if await self._store.deleted_by(owner, request_id) != conversation_id:
                raise not_found("conversation")
            return
        await self._history.delete(conversation_id, request_id)
        await self._store.delete(owner, conversation_id, request_id)
