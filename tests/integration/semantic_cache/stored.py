"""What the tests of the Redis adapters keep."""

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np

from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.store.connection import Store
from libs.store.replies import integer
from services.semantic_cache.adapters.redis_entries import RedisEntryStore, VectorSpace
from services.semantic_cache.entry import Alias, Entry, Usage
from services.semantic_cache.index.member import Member, Vector
from services.semantic_cache.ports import NewEntry
from services.semantic_cache.scope import Key, Scope, ask

SPACE: Final = VectorSpace("fake", dimension=16, capacity=5)
TTL: Final = 60.0
HOUR: Final = 3600.0
SHARED: Final = Scope("t1", "u1", personal=False, model="m")

_AT_A_TIME: Final = 50
_clock: Final = SystemClock()


def entry_store(store: Store, space: VectorSpace = SPACE, news: int = 3) -> RedisEntryStore:
    return RedisEntryStore(store, space, new_rng(1), news)


def key(text: str, scope: Scope = SHARED) -> Key:
    return ask(scope, text).key


def entry(text: str, asked_at: int, ttl: float = TTL, marks: tuple[bytes, ...] = ()) -> Entry:
    now = _clock.time()
    return Entry(text, f"answer to {text}", "m", Usage(1, 2, 3, 4), 5, now, now + ttl, asked_at, marks, (3, 4))


def vector_of(text: str) -> Vector:
    vector = np.array([1.0, *text.encode()[-15:].rjust(15, b"\0")], np.float32)
    unit: Vector = vector / np.float32(np.linalg.norm(vector))
    return unit


def member(text: str, kept: Entry, scope: Scope = SHARED) -> Member:
    return Member(key(text, scope).entry, b"g" * 8, vector_of(text), kept.created_at, kept.expires_at)


def new(kept: Entry, *, semantic: bool = False, scope: Scope = SHARED, lease_token: bytes = b"") -> NewEntry:
    ttl = max(0.001, kept.expires_at - _clock.time())
    found_by = member(kept.question, kept, scope) if semantic else None
    return NewEntry(kept, ttl, scope.user_id, found_by, lease_token)


async def keep(
    entries: RedisEntryStore,
    text: str,
    *,
    semantic: bool = False,
    scope: Scope = SHARED,
    ttl: float = TTL,
    marks: tuple[bytes, ...] = (),
) -> Entry:
    """Ask for `text` and keep an answer."""
    opened = await entries.open(key(text, scope))
    made = entry(text, opened.asked_at, ttl, marks)
    assert await entries.put(key(text, scope), new(made, semantic=semantic, scope=scope))
    return made


async def keep_all(entries: RedisEntryStore, texts: Sequence[str], *, semantic: bool = False) -> None:
    """Keep an answer to each, many at a time."""
    for start in range(0, len(texts), _AT_A_TIME):
        some = texts[start : start + _AT_A_TIME]
        await asyncio.gather(*(keep(entries, text, semantic=semantic) for text in some))


async def answer(entries: RedisEntryStore, text: str, scope: Scope = SHARED) -> Entry | None:
    """What is kept for `text`."""
    kept = (await entries.open(key(text, scope))).kept
    return None if kept is None else kept.entry


def alias_of(text: str, scope: Scope = SHARED) -> Alias:
    return Alias(key(text, scope).entry, b"g" * 8, 0.75, b"features")


async def ttl_ms(store: Store, name: str) -> int:
    return integer(await store.execute("PTTL", name))


async def set_clock_back(store: Store, floors: str, seconds: float) -> None:
    """What a tenant's floors look like once Redis's clock was set back by so much."""
    high = await store.execute("ZSCORE", floors, "high")
    assert isinstance(high, bytes)
    await store.execute("ZADD", floors, int(float(high) + seconds * 1e6), "high")
