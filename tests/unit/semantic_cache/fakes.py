"""The cache's other ports, without Redis and without a model."""

import re
import struct
import zlib
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.semantic_cache.entry import Alias
from services.semantic_cache.index.member import Vector
from services.semantic_cache.judging import Considered, Estimate, Judge, Judgement, Sighting, Teacher, Verdict
from services.semantic_cache.ports import (
    Announcement,
    Counts,
    Embedded,
    Embedder,
    EmbeddingModel,
    InvalidationStore,
    OutcomeLog,
    TallyStore,
)
from services.semantic_cache.receipts import Receipt
from tests.unit.semantic_cache.fake_store import FakeEntryStore

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
    """The fake model without a thread; at once, unless it is told to be slow."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fails_with: Reason | None = None
        self.slow: tuple[Clock, float] | None = None
        """By whose time, and how many seconds."""

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        if self.fails_with is not None:
            raise MeshError(self.fails_with)
        self.texts += texts
        if self.slow is not None:
            clock, seconds = self.slow
            await clock.sleep(seconds)
        return FakeModel().embed(texts)

    def forget(self) -> None:
        self.texts.clear()


class FakeInvalidationStore(InvalidationStore):
    """One replica's way to what all replicas announce in the entry store.

    Args:
        entries: the store that all share.
    """

    def __init__(self, entries: FakeEntryStore) -> None:
        self.down = False
        self.forgotten = 0
        """Announcements that are no longer told."""
        self._entries = entries

    async def invalidate(self, tenant_id: str, mark: bytes) -> None:
        self._answer()
        self._entries.invalidate(tenant_id, mark)

    async def announced(self, cursor: str) -> tuple[list[Announcement], str, bool]:
        self._answer()
        everything = self._entries.announcements
        end = str(len(everything))
        if not cursor:
            return [], end, True
        if int(cursor) < self.forgotten:
            return [], end, False
        return everything[int(cursor) :], end, True

    def _answer(self) -> None:
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE)


class FakeOutcomeLog(OutcomeLog):
    """Outcomes in a list per tenant."""

    def __init__(self) -> None:
        self.down = False
        self._outcomes: dict[str, list[bytes]] = {}
        self._seen: set[tuple[str, str]] = set()

    async def append(self, tenant_id: str, request_id: str, outcome: bytes) -> None:
        self._answer()
        if (tenant_id, request_id) not in self._seen:
            self._seen.add((tenant_id, request_id))
            self._outcomes.setdefault(tenant_id, []).append(outcome)

    async def since(self, tenant_id: str, cursor: str) -> tuple[list[bytes], str]:
        self._answer()
        outcomes = self._outcomes.get(tenant_id, [])
        return outcomes[int(cursor or 0) :], str(len(outcomes))

    def _answer(self) -> None:
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE)


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


class FakeJudge(Judge):
    """Serves what is more similar than 0.9, unless it was told what to decide next."""

    def __init__(self) -> None:
        self.verdicts: deque[Verdict] = deque()
        self.asked: list[str] = []
        """Questions that were judged by their candidates."""
        self.rates: list[float] = []
        self.known = Estimate()

    def judge(
        self,
        tenant_id: str,
        question: str,
        sightings: Sequence[Sighting],
        max_wrong_rate: float,
        explain: bool = False,
    ) -> Judgement:
        self.asked.append(question)
        considered = tuple(Considered(sighting.neighbour.similarity) for sighting in sightings) if explain else ()
        reason = "nobody near" if explain else ""
        if not sightings:
            return Judgement(Verdict.MISS, max_wrong_rate=max_wrong_rate, reason=reason, considered=considered)
        return self._decide(sightings[0].neighbour.similarity, max_wrong_rate, considered)

    def judge_again(self, tenant_id: str, alias: Alias, max_wrong_rate: float) -> Judgement:
        (similarity,) = struct.unpack("<f", alias.features)
        return self._decide(similarity, max_wrong_rate, ())

    def estimate(self, tenant_id: str) -> Estimate:
        return self.known

    def _decide(self, similarity: float, max_wrong_rate: float, considered: tuple[Considered, ...]) -> Judgement:
        self.rates.append(max_wrong_rate)
        usual = Verdict.SERVE if similarity > 0.9 else Verdict.MISS
        verdict = self.verdicts.popleft() if self.verdicts else usual
        return Judgement(
            verdict,
            chosen=0,
            wrong_probability=min(1.0, max(0.0, 1.0 - similarity)),
            propensity=1.0 if verdict is Verdict.MISS else 0.125,
            features=struct.pack("<f", similarity),
            threshold=0.1,
            max_wrong_rate=max_wrong_rate,
            reason="by similarity" if considered else "",
            considered=considered,
        )


class FakeTeacher(Teacher):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lessons: list[tuple[str, str, Receipt, bytes | None]] = []
        self.down = False

    async def teach(self, tenant_id: str, request_id: str, receipt: Receipt, fresh: bytes | None) -> None:
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE)
        self.lessons.append((tenant_id, request_id, receipt, fresh))
