"""Keeping an answer: durable in the store, at hand in memory, and findable by meaning where that is allowed."""

from dataclasses import dataclass
from typing import Final

from libs.core.clock import Clock
from libs.core.rng import Rng
from services.semantic_cache.backlog import Backlog, Enrichment
from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.ports import EntryStore
from services.semantic_cache.scope import Question
from services.semantic_cache.semantic import SemanticSearch
from services.semantic_cache.vectors import Member, Vector

_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be kept, and what its making took."""

    text: str
    model: str
    usage: Usage
    cost_usd_micros: int


class Keeper:
    """Keeps answers.

    Args:
        memory: the layer above the store.
        store: where entries are kept.
        semantic: knows what may be found by meaning; None: nothing may.
        backlog: computes the embeddings that nobody brought.
        clock: the time of keeping.
        rng: spreads expiries, so that entries made together do not all go together.
    """

    def __init__(
        self,
        memory: ExactCache,
        store: EntryStore,
        semantic: SemanticSearch | None,
        backlog: Backlog,
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._memory: Final = memory
        self._store: Final = store
        self._semantic: Final = semantic
        self._backlog: Final = backlog
        self._clock: Final = clock
        self._rng: Final = rng

    async def keep(self, question: Question, answer: Answer, ttl: float, vector: Vector | None) -> bool:
        """Keep `answer` for `ttl` seconds or up to a tenth less; whether it can (soon) be found by meaning too.

        Args:
            question: what was answered.
            answer: the answer.
            ttl: seconds; positive.
            vector: the question's embedding, if it is known.

        Raises:
            MeshError: STORE_UNAVAILABLE; nothing was kept.
        """
        lifetime = ttl * (1.0 - _JITTER * self._rng.random())
        now = self._clock.time()
        entry = Entry(
            question.text,
            answer.text,
            answer.model,
            answer.usage,
            answer.cost_usd_micros,
            created_at=now,
            expires_at=now + lifetime,
        )
        key = question.key
        semantic = self._semantic if self._semantic is not None and self._semantic.covers(question) else None
        if semantic is None or vector is None:
            await self._store.put(key, entry, lifetime)
        else:
            await self._store.put_with_vector(key, entry, vector, lifetime)
            semantic.add(key, Member(key.entry, vector, entry.expires_at))
        self._memory.put(key.entry, entry)
        if semantic is None:
            return False
        return vector is not None or self._backlog.offer(Enrichment(key, question.text, entry.expires_at))
