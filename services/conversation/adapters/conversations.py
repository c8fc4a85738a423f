"""Conversation records in Redis: a hash each, and a sorted set per owner to list them by."""

import base64
import binascii
from typing import Final

from libs.core.errors import MeshError, Reason, not_found
from libs.store.connection import Store
from libs.store.replies import Reply, array, blob, blobs, integer, optional_blob
from libs.store.script import Script, load
from services.conversation.adapters import keys
from services.conversation.conversations import is_conversation_id
from services.conversation.fingerprint import digest
from services.conversation.ports import Conversation, ConversationStore, Page
from services.conversation.turn import Owner

_MARKER_TTL_MS: Final = 86_400_000
_FIELDS: Final = ("id", "title", "system_prompt", "create_time", "update_time", "turn_count", "deleting")


class RedisConversationStore(ConversationStore):
    """Implements the port; each call is one round trip."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._create: Final = Script(store, load(__package__, "create_conversation.lua"), idempotent=True)
        self._list: Final = Script(store, load(__package__, "list_conversations.lua"), idempotent=True)
        self._begin_delete: Final = Script(store, load(__package__, "begin_delete.lua"), idempotent=True)
        self._delete: Final = Script(store, load(__package__, "delete_conversation.lua"), idempotent=True)

    async def create(self, owner: Owner, request_id: str, new: Conversation) -> Conversation:
        """Keep `new`, or return what the same request_id made before."""
        asked = digest(new.title, new.system_prompt)
        standing = await self._create(
            keys=[keys.conversation(owner, new.conversation_id), keys.index(owner), keys.created(owner, request_id)],
            args=[new.conversation_id, new.title, new.system_prompt, repr(new.create_time), _MARKER_TTL_MS, asked],
        )
        made, _, asked_first = blob(standing).decode().partition(" ")
        if asked_first != asked:
            raise MeshError(Reason.REQUEST_ID_REUSED)
        if made == new.conversation_id:
            return new
        found = await self.get(owner, made)
        if found is None:
            raise not_found("conversation")
        return found

    async def get(self, owner: Owner, conversation_id: str) -> Conversation | None:
        """The record, or None."""
        return _record(await self._store.execute("HMGET", keys.conversation(owner, conversation_id), *_FIELDS))

    async def list(self, owner: Owner, size: int, token: str) -> Page[Conversation]:
        """The latest made first."""
        # Ids are ULIDs: their order is that of creation, and the last one seen is the place to go on from.
        before = f"({_decode_token(token)}" if token else "+"
        reply = await self._list(keys=[keys.index(owner)], args=[before, size, keys.conversation(owner, ""), *_FIELDS])
        more, *found = array(reply)
        records = tuple(record for item in found if (record := _record(item)) is not None)
        return Page(records, _encode_token(records[-1].conversation_id) if more and records else "")

    async def begin_delete(self, owner: Owner, conversation_id: str) -> bool:
        """From now on the conversation is missing to everything but its removal."""
        return (
            integer(
                await self._begin_delete(
                    keys=[keys.conversation(owner, conversation_id), keys.index(owner)], args=[conversation_id]
                )
            )
            == 1
        )

    async def delete(self, owner: Owner, conversation_id: str, request_id: str) -> None:
        """Remove the record, and remember for a day that this request did."""
        await self._delete(
            keys=[keys.conversation(owner, conversation_id), keys.index(owner), keys.deleted(owner, request_id)],
            args=[conversation_id, _MARKER_TTL_MS],
        )

    async def deleted_by(self, owner: Owner, request_id: str) -> str:
        """The id of the conversation that a request removed."""
        return (optional_blob(await self._store.execute("GET", keys.deleted(owner, request_id))) or b"").decode()


def _record(reply: Reply) -> Conversation | None:
    *fields, deleting = array(reply)
    if fields[0] is None or deleting is not None:
        return None
    conversation_id, title, system_prompt, create_time, update_time, turn_count = blobs(fields)
    return Conversation(
        conversation_id.decode(),
        title.decode(),
        system_prompt.decode(),
        float(create_time),
        float(update_time),
        int(turn_count),
    )


def _encode_token(last_id: str) -> str:
    return base64.urlsafe_b64encode(last_id.encode()).decode()


def _decode_token(token: str) -> str:
    try:
        last_id = base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise MeshError(Reason.INVALID_PAGE_TOKEN) from error
    # Some other texts decode to the same id; only the one that was given out is a token.
    if not is_conversation_id(last_id) or _encode_token(last_id) != token:
        raise MeshError(Reason.INVALID_PAGE_TOKEN)
    return last_id
