"""Conversation records in Redis: a hash each, and a sorted set per owner to list them by."""

import base64
import binascii
from collections.abc import Mapping
from typing import Final, cast

from libs.core.errors import MeshError, Reason
from libs.store.connection import Store
from libs.store.script import Script, load
from services.conversation.adapters import keys
from services.conversation.conversations import is_conversation_id
from services.conversation.ports import Conversation, ConversationStore, Page
from services.conversation.turn import Owner

_MARKER_TTL_MS: Final = 86_400_000


class RedisConversationStore(ConversationStore):
    """Implements the port."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._create: Final = Script(store, load(__package__, "create_conversation.lua"))

    async def create(self, owner: Owner, request_id: str, new: Conversation) -> Conversation:
        """Keep `new`, or return what the same request_id made before."""
        standing = await self._create(
            keys=[keys.conversation(owner, new.conversation_id), keys.index(owner), keys.created(owner, request_id)],
            args=[new.conversation_id, new.title, new.system_prompt, repr(new.create_time), _MARKER_TTL_MS],
        )
        made = cast("bytes", standing).decode()
        if made == new.conversation_id:
            return new
        return await self.get(owner, made) or new

    async def get(self, owner: Owner, conversation_id: str) -> Conversation | None:
        """The record, or None."""
        with self._store.guard():
            fields = await self._store.redis.hgetall(keys.conversation(owner, conversation_id))
        return _record(cast("Mapping[bytes, bytes]", fields)) if fields else None

    async def list(self, owner: Owner, size: int, token: str) -> Page[Conversation]:
        """The latest made first; two round trips."""
        # Ids are ULIDs: their order is that of creation, and the last one seen is the place to go on from.
        before = f"({_decode_token(token)}" if token else "+"
        with self._store.guard():
            # One more than asked for tells whether there is a next page.
            found = await self._store.redis.zrange(
                keys.index(owner), before, "-", desc=True, bylex=True, offset=0, num=size + 1
            )
            ids = cast("list[bytes]", found)
            pipeline = self._store.redis.pipeline(transaction=False)
            for conversation_id in ids[:size]:
                pipeline.hgetall(keys.conversation(owner, conversation_id.decode()))
            records = await pipeline.execute()
        following = _encode_token(ids[size - 1]) if len(ids) > size else ""
        return Page(tuple(_record(fields) for fields in records if fields), following)

    async def delete(self, owner: Owner, conversation_id: str) -> bool:
        """Remove the record; whether there was one."""
        with self._store.guard():
            pipeline = self._store.redis.pipeline(transaction=True)
            pipeline.delete(keys.conversation(owner, conversation_id))
            pipeline.zrem(keys.index(owner), conversation_id)
            removed, _ = await pipeline.execute()
        return bool(removed)


def _record(fields: Mapping[bytes, bytes]) -> Conversation:
    return Conversation(
        fields[b"id"].decode(),
        fields[b"title"].decode(),
        fields[b"system_prompt"].decode(),
        float(fields[b"create_time"]),
        float(fields[b"update_time"]),
        int(fields[b"turn_count"]),
    )


def _encode_token(last_id: bytes) -> str:
    return base64.urlsafe_b64encode(last_id).decode()


def _decode_token(token: str) -> str:
    try:
        last_id = base64.urlsafe_b64decode(token.encode()).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise MeshError(Reason.INVALID_PAGE_TOKEN) from error
    if not is_conversation_id(last_id):
        raise MeshError(Reason.INVALID_PAGE_TOKEN)
    return last_id
