"""What a fresh answer settles: where its question lies, and whether what was not served would have been right."""

from dataclasses import dataclass, replace
from typing import Final

from libs.core.clock import Clock
from services.semantic_cache.answers import centre, chunks, mean_the_same, read_alike
from services.semantic_cache.entry import Entry, answer_group
from services.semantic_cache.index.member import Member, Vector
from services.semantic_cache.judging import Teacher
from services.semantic_cache.ports import Embedder, EntryStore
from services.semantic_cache.receipts import Receipt
from services.semantic_cache.scope import Key
from services.semantic_cache.semantic import SemanticSearch


@dataclass(frozen=True, slots=True)
class Settle:
    """An entry that was just kept."""

    key: Key
    entry: Entry
    request_id: str
    vector: Vector | None
    """Of its question; None: nobody has computed it."""
    receipt: Receipt | None
    """Of the lookup that missed."""


class Settler:
    """Gives entries their vectors and groups, and outcomes to the teacher.

    Args:
        store: where entries and members are kept.
        semantic: where members become searchable on this replica.
        embedder: makes vectors of questions and answers.
        teacher: is told what turned out.
        clock: tells what has expired.
        answer_similarity: the least cosine of two answers that may say the same.
    """

    def __init__(
        self,
        store: EntryStore,
        semantic: SemanticSearch,
        embedder: Embedder,
        teacher: Teacher,
        clock: Clock,
        answer_similarity: float,
    ) -> None:
        self._store: Final = store
        self._semantic: Final = semantic
        self._embedder: Final = embedder
        self._teacher: Final = teacher
        self._clock: Final = clock
        self._answer_similarity: Final = answer_similarity

    async def settle(self, task: Settle) -> None:
        """Do what is left to do for an entry.

        Raises:
            MeshError: STORE_UNAVAILABLE, OVERLOADED, PEER_UNAVAILABLE.
        """
        own = group = answer_group(task.entry.answer)
        receipt = task.receipt
        if receipt is not None and receipt.candidate:
            group = receipt.group if await self._right(task, receipt) else own
            await self._teacher.teach(task.key.tenant_id, task.request_id, receipt, group)
        if task.vector is None or group != own:
            await self._attach(task, group)

    async def _right(self, task: Settle, receipt: Receipt) -> bool:
        """Whether the candidate's answer says the same as the fresh one; one that is gone mostly was invalidated."""
        (candidate,) = await self._store.get_many([replace(task.key, entry=receipt.candidate)])
        if candidate is None:
            return False
        fresh, kept = task.entry.answer, candidate.answer
        if read_alike(fresh, kept):
            return True
        one, other = chunks(fresh), chunks(kept)
        vectors = [embedded.vector for embedded in await self._embedder.embed([*one, *other])]
        similarity = float(centre(vectors[: len(one)]) @ centre(vectors[len(one) :]))
        return mean_the_same(fresh, kept, similarity, self._answer_similarity)

    async def _attach(self, task: Settle, group: bytes) -> None:
        vector = task.vector
        if vector is None:
            (embedded,) = await self._embedder.embed([task.entry.question])
            if not embedded.whole:
                return
            vector = embedded.vector
        entry = task.entry
        member = Member(task.key.entry, group, vector, entry.created_at, entry.expires_at)
        ttl = entry.expires_at - self._clock.time()
        if ttl > 0 and await self._store.attach(task.key, member, ttl):
            self._semantic.add(task.key, member)
