"""Conversations in Redis: a list each, one script and one round trip per call."""

from collections.abc import Sequence
from typing import Final

from libs.store.connection import Store
from libs.store.replies import array, blobs, integer, integers
from libs.store.script import Script, load
from services.memory.adapters.keys import keys_of
from services.memory.ports import Appended, ConversationKey, History, Record, Slice, Tail


class RedisHistory(History):
    """Implements the port.

    Args:
        store: the durable Redis.
        tombstone_ms: for how long appends to a deleted conversation are refused; longer than any of them can be late.
    """

    def __init__(self, store: Store, tombstone_ms: int) -> None:
        self._tombstone_ms = tombstone_ms
        # Idempotent, all of them: appends and deletions know their request_id.
        self._append: Final = Script(store, load(__package__, "append.lua"), idempotent=True)
        self._tail: Final = Script(store, load(__package__, "tail.lua"), idempotent=True)
        self._slice: Final = Script(store, load(__package__, "slice.lua"), idempotent=True)
        self._delete: Final = Script(store, load(__package__, "delete.lua"), idempotent=True)

    async def append(self, key: ConversationKey, request_id: str, records: Sequence[Record]) -> Appended:
        """Add a turn at the end, once per request_id."""
        args: list[str | bytes | int] = [request_id]
        for record in records:
            args += (record.tokens, record.body)
        count, duplicate = integers(await self._append(keys=keys_of(key), args=args))
        return Appended(count, duplicate == 1)

    async def tail(self, key: ConversationKey, max_tokens: int, max_messages: int, at_least: int = 0) -> Tail:
        """The newest messages that fit the budget."""
        keys = keys_of(key)
        answer = await self._tail(keys=[keys.messages, keys.tokens], args=[max_tokens, max_messages, at_least])
        count, tokens, bodies = array(answer)
        return Tail(tuple(map(Record, blobs(bodies), integers(tokens))), integer(count))

    async def slice(self, key: ConversationKey, request_id: str, offset: int, limit: int) -> Slice:
        """Messages from `offset` on, of one turn if `request_id` is not empty."""
        keys = keys_of(key)
        answer = await self._slice(keys=[keys.messages, keys.requests], args=[request_id, offset, limit])
        following, bodies = array(answer)
        return Slice(tuple(blobs(bodies)), integer(following) > 0)

    async def delete(self, key: ConversationKey, request_id: str) -> int:
        """Remove the conversation and leave a tombstone."""
        return integer(await self._delete(keys=keys_of(key), args=[request_id, self._tombstone_ms]))
