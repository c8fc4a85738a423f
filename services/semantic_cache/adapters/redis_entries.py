"""Entries in Redis: a string each; and per scope the vectors of those that can be found by meaning."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from libs.store.connection import Store
from libs.store.replies import Argument, array, blobs, integer, optional_blob
from libs.store.script import Script, load
from services.semantic_cache.adapters import codec, keys
from services.semantic_cache.entry import Entry
from services.semantic_cache.ports import EntryStore, News
from services.semantic_cache.scope import Key
from services.semantic_cache.vectors import Member, Vector


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What vectors belong together: those of one embedding model."""

    name: str
    """Short and fit for a key; another model's vectors are kept apart."""
    dimension: int
    capacity: int
    """Members of one scope; the oldest go first."""


class RedisEntryStore(EntryStore):
    """Implements the port; one round trip per call.

    Args:
        store: the Redis, which may evict.
        space: where vectors go.
        news: members that one reading brings, at most 2,000 (they are operands of one command in a script).
    """

    def __init__(self, store: Store, space: VectorSpace, news: int = 500) -> None:
        self._store: Final = store
        self._space: Final = space
        self._news: Final = news
        self._put: Final = Script(store, load(__package__, "put.lua"), idempotent=True)
        self._get_with_news: Final = Script(store, load(__package__, "get_with_news.lua"), idempotent=True)

    async def get(self, key: Key) -> Entry | None:
        """The entry at `key`."""
        return _entry(optional_blob(await self._store.execute("GET", keys.entry(key))))

    async def get_with_news(self, key: Key, cursor: int) -> tuple[Entry | None, News]:
        """The entry at `key`, and what came into its scope after `cursor`."""
        answer = await self._get_with_news(keys=self._keys(key), args=[cursor, self._news])
        stored, next_cursor, ids, vectors = array(answer)
        entries = blobs(ids)
        members = []
        for entry, reply in zip(entries, array(vectors), strict=True):
            vector = optional_blob(reply)
            member = None if vector is None else codec.decode_member(entry, vector, self._space.dimension)
            if member is not None:
                members.append(member)
        news = News(tuple(members), integer(next_cursor), more=len(entries) == self._news)
        return _entry(optional_blob(stored)), news

    async def get_many(self, keys_: Sequence[Key]) -> list[Entry | None]:
        """The entries at `keys_`, in their order."""
        if not keys_:
            return []
        replies = array(await self._store.execute("MGET", *map(keys.entry, keys_)))
        return [_entry(optional_blob(reply)) for reply in replies]

    async def put(self, key: Key, entry: Entry, ttl: float) -> None:
        """Keep an entry, found by equal text."""
        await self._store.execute("SET", keys.entry(key), codec.encode_entry(entry), "PX", _ms(ttl))

    async def put_if_absent(self, key: Key, entry: Entry, ttl: float) -> None:
        """Keep an entry where none is kept."""
        await self._store.execute("SET", keys.entry(key), codec.encode_entry(entry), "PX", _ms(ttl), "NX")

    async def put_with_vector(self, key: Key, entry: Entry, vector: Vector, ttl: float) -> None:
        """Keep an entry, found by equal text and by meaning."""
        await self._put(
            keys=self._keys(key),
            args=[codec.encode_entry(entry), _ms(ttl), *self._member(key, vector, entry.expires_at)],
        )

    async def attach(self, key: Key, member: Member, ttl: float) -> bool:
        """Let an entry that is kept be found by meaning."""
        args: list[Argument] = ["", _ms(ttl), *self._member(key, member.vector, member.expires_at)]
        return integer(await self._put(keys=self._keys(key), args=args)) == 1

    def _keys(self, key: Key) -> tuple[str, str, str]:
        return keys.entry(key), keys.order(key, self._space.name), keys.vectors(key, self._space.name)

    def _member(self, key: Key, vector: Vector, expires_at: float) -> tuple[bytes, bytes, int]:
        return key.entry, codec.encode_member(vector, expires_at), self._space.capacity


def _entry(stored: bytes | None) -> Entry | None:
    return None if stored is None else codec.decode_entry(stored)


def _ms(ttl: float) -> int:
    # Redis refuses 0.
    return max(1, round(ttl * 1000))
