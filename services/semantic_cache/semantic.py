"""Finding an answer by the meaning of its question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from libs.core.clock import Clock
from services.semantic_cache.decision import Verdict, judge, tells_of_speaker
from services.semantic_cache.entry import Entry
from services.semantic_cache.indexes import Indexes
from services.semantic_cache.ports import Embedder, EntryStore, News
from services.semantic_cache.scope import Key, Question
from services.semantic_cache.vectors import Member, Neighbour, Vector


@dataclass(frozen=True, slots=True)
class SemanticOptions:
    """How far a search goes."""

    threshold: float = 0.90
    """The least cosine similarity that counts."""
    candidates: int = 4
    """Entries looked at, the most similar first."""
    refresh_interval: float = 1.0
    """Seconds between looks at what other replicas put into a scope."""
    longest_text: int = 2_000
    """Characters; a longer question is not even embedded, since no model reads all of it."""


class SemanticSearch:
    """The layer below the exact ones. For shared questions only.

    Args:
        store: where entries and their vectors are kept.
        indexes: this replica's view of them.
        embedder: makes vectors.
        clock: paces refreshes and tells what has expired.
        options: threshold and bounds.
    """

    def __init__(
        self, store: EntryStore, indexes: Indexes, embedder: Embedder, clock: Clock, options: SemanticOptions
    ) -> None:
        self._store: Final = store
        self._indexes: Final = indexes
        self._embedder: Final = embedder
        self._clock: Final = clock
        self._options: Final = options

    def covers(self, question: Question) -> bool:
        """Whether a question may be found, and kept, by meaning."""
        return (
            question.shared and len(question.text) <= self._options.longest_text and not tells_of_speaker(question.text)
        )

    async def get_exact(self, key: Key) -> Entry | None:
        """The store's entry for the same text; brings the scope's index up to date on the way when that is due."""
        index = self._indexes.of(key)
        now = self._clock.monotonic()
        if now - index.refreshed_at < self._options.refresh_interval:
            return await self._store.get(key)
        before, index.refreshed_at = index.refreshed_at, now
        try:
            entry, news = await self._store.get_with_news(key, index.cursor)
            self._learn(key, news)
            # A scope that is new to this replica may hold more than one reading brings.
            while news.more:
                _, news = await self._store.get_with_news(key, news.cursor)
                self._learn(key, news)
        except BaseException:
            index.refreshed_at = before
            raise
        return entry

    def searchable(self, key: Key) -> bool:
        """Whether there is anything to search in the scope; if not, an embedding would be wasted."""
        return len(self._indexes.of(key).vectors) > 0

    async def embed(self, text: str) -> Vector | None:
        """The question's vector; None if the model could not read all of the text."""
        (embedded,) = await self._embedder.embed([text])
        return embedded.vector if embedded.whole else None

    async def find(self, question: Question, vector: Vector) -> Entry | None:
        """The entry whose question means the same, its `similarity` set, or None. Entries come from the store."""
        options, now = self._options, self._clock.time()
        vectors = self._indexes.of(question.key).vectors
        neighbours = vectors.nearest(vector, options.candidates, options.threshold, now)
        if not neighbours:
            return None
        keys = [replace(question.key, entry=neighbour.entry) for neighbour in neighbours]
        entries = await self._store.get_many(keys)
        self._forget(keys, entries)
        return self._best(question, neighbours, entries, now)

    def add(self, key: Key, member: Member) -> None:
        """Let an entry that was just kept be found here at once."""
        self._indexes.add(key, member)

    def _best(
        self, question: Question, neighbours: Sequence[Neighbour], entries: Sequence[Entry | None], now: float
    ) -> Entry | None:
        for neighbour, entry in zip(neighbours, entries, strict=True):
            if entry is None or entry.expires_at <= now:
                continue
            verdict = judge(question.text, entry.question, neighbour.similarity, self._options.threshold)
            if verdict is Verdict.SAME_MEANING:
                # Below 1 always: equal texts are found by the exact layers, and rounding may exceed 1.
                return replace(entry, similarity=min(neighbour.similarity, 0.9999))
        return None

    def _learn(self, key: Key, news: News) -> None:
        for member in news.members:
            self._indexes.add(key, member)
        index = self._indexes.of(key)
        index.cursor = max(index.cursor, news.cursor)

    def _forget(self, keys: Sequence[Key], entries: Sequence[Entry | None]) -> None:
        for key, entry in zip(keys, entries, strict=True):
            if entry is None:
                self._indexes.remove(key)
