"""The cache's ports without Redis and without a model."""

import re
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.semantic_cache.entry import Entry
from services.semantic_cache.ports import (
    Counts,
    Embedded,
    Embedder,
    EmbeddingModel,
    EntryStore,
    News,
    TallyStore,
)
from services.semantic_cache.scope import Key
from services.semantic_cache.vectors import Member, Vector

DIMENSION = 64
_IDLE = "a an the is are do does can could i how what which please my your of to"
_IDLE_WORDS = frozenset(_IDLE.split())
_LONGEST = 200


class FakeModel(EmbeddingModel):
    """The same words, idle ones aside, make the same vector."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fails = False

    @property
    def name(self) -> str:
        return "fake"

    @property
    def dimension(self) -> int:
        return DIMENSION

    def embed(self, texts: Sequence[str]) -> list[Embedded]:
        self.batches.append(list(texts))
        if self.fails:
            raise MeshError(Reason.INTERNAL)
        return [Embedded(vector_of(text), len(text) <= _LONGEST) for text in texts]


def vector_of(text: str) -> Vector:
    vector = np.full(DIMENSION, 0.01, np.float32)
    for word in re.findall(r"\w+", text.casefold()):
        if word not in _IDLE_WORDS:
            vector[zlib.crc32(word.encode()) % DIMENSION] += 1.0
    unit: Vector = vector / np.float32(np.linalg.norm(vector))
    return unit


class FakeEmbedder(Embedder):
    """The fake model at once, without a thread."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fails_with: Reason | None = None

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        if self.fails_with is not None:
            raise MeshError(self.fails_with)
        self.texts += texts
        return FakeModel().embed(texts)


class FakeEntryStore(EntryStore):
    """Entries in a dictionary; several replicas may share one."""

    def __init__(self, clock: Clock, news: int = 100) -> None:
        self.entries: dict[tuple[str, bytes], tuple[Entry, float]] = {}
        self.members: dict[tuple[str, bytes], list[Member]] = {}
        self.down = False
        self.calls: Counter[str] = Counter()
        self._clock = clock
        self._news = news

    async def get(self, key: Key) -> Entry | None:
        self._answer("get")
        return self._read(key)

    async def get_with_news(self, key: Key, cursor: int) -> tuple[Entry | None, News]:
        self._answer("get_with_news")
        news = self.members.get((key.tenant_id, key.scope), [])[cursor : cursor + self._news]
        end = cursor + len(news)
        return self._read(key), News(tuple(news), end, len(news) == self._news)

    async def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        self._answer("get_many")
        return [self._read(key) for key in keys]

    async def put(self, key: Key, entry: Entry, ttl: float) -> None:
        self._answer("put")
        self.entries[(key.tenant_id, key.entry)] = (entry, self._clock.time() + ttl)

    async def put_if_absent(self, key: Key, entry: Entry, ttl: float) -> None:
        if self._read(key) is None:
            await self.put(key, entry, ttl)

    async def put_with_vector(self, key: Key, entry: Entry, vector: Vector, ttl: float) -> None:
        await self.put(key, entry, ttl)
        self._join(key, Member(key.entry, vector, entry.expires_at))

    async def attach(self, key: Key, member: Member, ttl: float) -> bool:
        self._answer("attach")
        if self._read(key) is None:
            return False
        self._join(key, member)
        return True

    def drop_entries(self) -> None:
        """What an eviction does: entries go, while scopes still name them."""
        self.entries.clear()

    def _join(self, key: Key, member: Member) -> None:
        self.members.setdefault((key.tenant_id, key.scope), []).append(member)

    def _read(self, key: Key) -> Entry | None:
        entry, expires_at = self.entries.get((key.tenant_id, key.entry), (None, 0.0))
        return entry if expires_at > self._clock.time() else None

    def _answer(self, call: str) -> None:
        self.calls[call] += 1
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE, retry_after=1.0)


class FakeTallyStore(TallyStore):
    """Counters in a dictionary."""

    def __init__(self) -> None:
        self.sums: dict[str, Counter[str]] = {}
        self.down = False

    async def add(self, tenant_id: str, counts: Counts) -> None:
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE)
        self.sums.setdefault(tenant_id, Counter()).update(counts)

    async def read(self, tenant_id: str) -> Counts:
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE)
        return self.sums.get(tenant_id, {})
