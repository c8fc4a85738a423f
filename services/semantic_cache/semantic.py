"""Finding an answer by the meaning of its question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from libs.core.clock import Clock
from services.semantic_cache.entry import Entry
from services.semantic_cache.guards import forget_readings, tells_of_speaker
from services.semantic_cache.index.indexes import Indexes
from services.semantic_cache.index.member import Member, Neighbour, Vector
from services.semantic_cache.index.snapshots import Snapshots
from services.semantic_cache.judging import Judge, Judgement, Sighting, Verdict
from services.semantic_cache.ports import Embedder, EntryStore, News
from services.semantic_cache.scope import Key, Question
from services.semantic_cache.texts import QuestionTexts


@dataclass(frozen=True, slots=True)
class SemanticOptions:
    """How far a search goes."""

    neighbours: int = 16
    """Entries whose agreement is evidence, the most similar first."""
    refresh_interval: float = 1.0
    """Seconds between looks at what other replicas did to a scope."""
    longest_text: int = 600
    """Characters; a longer question is not even embedded, since no model reads all of it."""
    texts_bytes: int = 32 * 1024 * 1024
    """For the questions of entries that were near once."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    vector: Vector
    """The question's."""
    judgement: Judgement | None = None
    """None if there was nobody to judge."""
    neighbour: Neighbour | None = None
    """The one that was chosen."""
    entry: Entry | None = None
    """Its entry, from the store; set if it is to be served."""


class SemanticSearch:
    """The layer below the exact ones. For shared questions only.

    Args:
        store: where entries and their vectors are kept.
        indexes: this replica's view of them.
        snapshots: what this machine kept of that view; None: nothing.
        embedder: makes vectors.
        judge: decides.
        clock: paces refreshes and tells what has expired.
        options: bounds.
    """

    def __init__(
        self,
        store: EntryStore,
        indexes: Indexes,
        snapshots: Snapshots | None,
        embedder: Embedder,
        judge: Judge,
        clock: Clock,
        options: SemanticOptions,
    ) -> None:
        self._store: Final = store
        self._indexes: Final = indexes
        self._snapshots: Final = snapshots
        self._embedder: Final = embedder
        self._judge: Final = judge
        self._clock: Final = clock
        self._options: Final = options
        self._texts: Final = QuestionTexts(options.texts_bytes)

    def covers(self, question: Question) -> bool:
        """Whether a question may be found, and kept, by meaning."""
        return (
            question.shared and len(question.text) <= self._options.longest_text and not tells_of_speaker(question.text)
        )

    async def refresh(self, key: Key) -> bool:
        """Bring the scope of `key` up to date as far as that is quick; whether `catch_up` has more to do.

        Raises:
            MeshError: STORE_UNAVAILABLE.
        """
        index = self._indexes.of(key.tenant_id, key.scope)
        now = self._clock.monotonic()
        if now - index.refreshed_at < self._options.refresh_interval:
            return False
        before, index.refreshed_at = index.refreshed_at, now
        if not index.cursor and self._snapshots is not None:
            return True
        try:
            news = await self._store.news(key, index.cursor)
        except BaseException:
            index.refreshed_at = before
            raise
        self._learn(key, news)
        return news.more

    async def catch_up(self, key: Key) -> None:
        """Bring the scope of `key` up to date, however long it takes; in the background.

        Raises:
            MeshError: STORE_UNAVAILABLE.
        """
        index = self._indexes.of(key.tenant_id, key.scope)
        if not index.cursor and self._snapshots is not None:
            restored = await self._snapshots.load(key.tenant_id, key.scope)
            if restored is not None:
                self._indexes.adopt(key.tenant_id, key.scope, restored)
        more = True
        while more:
            news = await self._store.news(key, self._indexes.of(key.tenant_id, key.scope).cursor)
            self._learn(key, news)
            more = news.more

    def searchable(self, key: Key) -> bool:
        """Whether there is anything to search in the scope; if not, an embedding would be wasted."""
        return len(self._indexes.of(key.tenant_id, key.scope).vectors) > 0

    async def search(self, question: Question, max_wrong_rate: float, explain: bool) -> Found | None:
        """The best candidate and what was decided; None if the model cannot read all of the question.

        Raises:
            MeshError: STORE_UNAVAILABLE, OVERLOADED, PEER_UNAVAILABLE.
        """
        (embedded,) = await self._embedder.embed([question.text])
        if not embedded.whole:
            return None
        vector, key = embedded.vector, question.key
        index = self._indexes.of(key.tenant_id, key.scope).vectors
        sightings, read = await self._sight(key, index.nearest(vector, self._options.neighbours, self._clock.time()))
        while sightings:
            judgement = self._judge.judge(key.tenant_id, question.text, sightings, max_wrong_rate, explain)
            if judgement.chosen is None:
                return Found(vector, judgement)
            neighbour = sightings[judgement.chosen].neighbour
            if judgement.verdict is not Verdict.SERVE:
                return Found(vector, judgement, neighbour)
            entry = read.get(neighbour.entry) or await self._read(key, neighbour)
            if entry is not None:
                return Found(vector, judgement, neighbour, entry)
            del sightings[judgement.chosen]
        return Found(vector)

    def forget_texts(self) -> None:
        """Drop what is remembered of texts: one of them may be of a user who was erased."""
        self._texts.clear()
        self._embedder.forget()
        forget_readings()

    def add(self, key: Key, member: Member) -> None:
        """Let an entry that was just kept be found here at once."""
        self._indexes.add(key.tenant_id, key.scope, member, self._clock.time())

    async def _sight(self, key: Key, neighbours: Sequence[Neighbour]) -> tuple[list[Sighting], dict[bytes, Entry]]:
        """The neighbours with their questions, and those entries that had to be read for it."""
        read: dict[bytes, Entry] = {}
        unknown = [neighbour for neighbour in neighbours if neighbour.entry not in self._texts]
        if unknown:
            entries = await self._store.get_many([replace(key, entry=neighbour.entry) for neighbour in unknown])
            for neighbour, entry in zip(unknown, entries, strict=True):
                if entry is None:
                    self._indexes.remove(key.tenant_id, key.scope, neighbour.entry)
                else:
                    self._texts.keep(neighbour.entry, entry.question)
                    read[neighbour.entry] = entry
        texts = ((neighbour, self._texts.get(neighbour.entry)) for neighbour in neighbours)
        return [Sighting(neighbour, text) for neighbour, text in texts if text is not None], read

    async def _read(self, key: Key, neighbour: Neighbour) -> Entry | None:
        # A vector only proposes: what is served comes from the store, so that an index that lags costs a miss.
        (entry,) = await self._store.get_many([replace(key, entry=neighbour.entry)])
        if entry is None:
            self._indexes.remove(key.tenant_id, key.scope, neighbour.entry)
            self._texts.remove(neighbour.entry)
        return entry

    def _learn(self, key: Key, news: News) -> None:
        if news.restart:
            self._indexes.drop(key.tenant_id, key.scope)
        for member in news.added:
            self._indexes.add(key.tenant_id, key.scope, member, self._clock.time())
        for entry in news.removed:
            self._indexes.remove(key.tenant_id, key.scope, entry)
        index = self._indexes.of(key.tenant_id, key.scope)
        index.cursor = news.cursor
        index.refreshed_at = self._clock.monotonic()
