"""The way of a lookup through the layers: memory, the same text in the store, the same meaning."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.semantic_cache.backlog import Alias, Backlog
from services.semantic_cache.entry import Entry
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.ports import EntryStore
from services.semantic_cache.scope import Question
from services.semantic_cache.semantic import SemanticSearch
from services.semantic_cache.vectors import Vector

_DEGRADING: Final = frozenset({Reason.STORE_UNAVAILABLE, Reason.OVERLOADED, Reason.PEER_UNAVAILABLE, Reason.DRAINING})
"""What turns a lookup into a miss: a cache that fails must not fail a turn."""


class Layer(Enum):
    """What a lookup ended in."""

    EXACT_MEMORY = "exact_memory"
    EXACT_REDIS = "exact_redis"
    SEMANTIC = "semantic"
    MISS = "miss"
    UNAVAILABLE = "unavailable"
    """A miss, because a layer could not be asked."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a lookup found."""

    layer: Layer
    entry: Entry | None = None
    """Set for a hit."""
    vector: Vector | None = None
    """The question's embedding, if a search by meaning missed."""


_MISS: Final = Outcome(Layer.MISS)
_UNAVAILABLE: Final = Outcome(Layer.UNAVAILABLE)


class Finder:
    """Finds answers; what a lower layer finds is kept in the layers above.

    Args:
        memory: the topmost layer.
        store: the exact layer that replicas share.
        semantic: the lowest layer; None switches it off.
        backlog: takes what need not be done before the answer.
        clock: tells what has expired.
        store_pause: seconds for which a store that failed is not asked again, so that its timeouts do not become
            everybody's latency.
    """

    def __init__(
        self,
        memory: ExactCache,
        store: EntryStore,
        semantic: SemanticSearch | None,
        backlog: Backlog,
        clock: Clock,
        store_pause: float = 0.5,
    ) -> None:
        self._memory: Final = memory
        self._store: Final = store
        self._semantic: Final = semantic
        self._backlog: Final = backlog
        self._clock: Final = clock
        self._store_pause: Final = store_pause
        self._paused_until = float("-inf")

    async def lookup(self, question: Question, exact_only: bool = False) -> Outcome:
        """The best answer for `question`, from the highest layer that has one. Never fails for a layer's sake."""
        entry = self._memory.get(question.key.entry, self._clock.time())
        if entry is not None:
            return Outcome(Layer.EXACT_MEMORY, entry)
        if self._clock.monotonic() < self._paused_until:
            return _UNAVAILABLE
        semantic = self._semantic
        try:
            if exact_only or semantic is None or not semantic.covers(question):
                return self._exact(question, await self._store.get(question.key)) or _MISS
            found = self._exact(question, await semantic.get_exact(question.key))
            if found is not None or not semantic.searchable(question.key):
                return found or _MISS
            return await self._by_meaning(semantic, question)
        except MeshError as error:
            if error.reason not in _DEGRADING:
                raise
            if error.reason is Reason.STORE_UNAVAILABLE:
                self._paused_until = self._clock.monotonic() + self._store_pause
            return _UNAVAILABLE

    def _exact(self, question: Question, entry: Entry | None) -> Outcome | None:
        if entry is None or entry.expires_at <= self._clock.time():
            return None
        self._memory.put(question.key.entry, entry)
        return Outcome(Layer.EXACT_REDIS, entry)

    async def _by_meaning(self, semantic: SemanticSearch, question: Question) -> Outcome:
        vector = await semantic.embed(question.text)
        if vector is None:
            return _MISS
        entry = await semantic.find(question, vector)
        if entry is None:
            return Outcome(Layer.MISS, vector=vector)
        self._memory.put(question.key.entry, entry)
        self._backlog.offer(Alias(question.key, entry))
        return Outcome(Layer.SEMANTIC, entry)
