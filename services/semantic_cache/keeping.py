"""Keeping an answer: durable in the store, at hand in memory, and findable by meaning where that is allowed."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from libs.core.clock import Clock
from libs.core.rng import Rng
from services.semantic_cache.backlog import Backlog
from services.semantic_cache.entry import Entry, Kept, Usage, answer_group
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.flight import Flights
from services.semantic_cache.index.member import Member, Vector
from services.semantic_cache.ports import EntryStore, NewEntry
from services.semantic_cache.receipts import Ending, Receipt
from services.semantic_cache.scope import Question, tag_mark, user_mark
from services.semantic_cache.semantic import SemanticSearch
from services.semantic_cache.settling import Settle

_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be kept, and what its making took."""

    text: str
    model: str
    usage: Usage
    cost_usd_micros: int
    pieces: tuple[int, ...] = ()
    """Lengths in characters of the pieces it was streamed in."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How it is to be kept."""

    request_id: str
    ttl: float
    """Seconds; positive."""
    vector: Vector | None = None
    """The question's embedding, if it is known."""
    lease_token: bytes = b""
    """The lease it was made under."""
    leased_at: int = 0
    """When that lease was granted, microseconds of the store's clock; 0 if there was none."""
    receipt: Receipt | None = None
    """Of the lookup that missed."""
    tags: tuple[str, ...] = ()


class Keeping(Enum):
    """What became of an answer."""

    EXACT = "exact"
    """Found by equal text."""
    SEMANTIC = "semantic"
    """Found by meaning too, at once or shortly."""
    OUTDATED = "outdated"
    """Not kept: its making began before an invalidation or before that of a newer answer."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where answers are kept."""

    memory: ExactCache
    store: EntryStore
    flights: Flights
    semantic: SemanticSearch | None
    """Knows what may be found by meaning; None: nothing may."""


class Keeper:
    """Keeps answers.

    Args:
        shelves: where.
        backlog: does what need not be done at once.
        clock: the time of keeping.
        rng: spreads expiries, so that entries made together do not all go together.
    """

    def __init__(self, shelves: Shelves, backlog: Backlog, clock: Clock, rng: Rng) -> None:
        self._memory: Final = shelves.memory
        self._store: Final = shelves.store
        self._flights: Final = shelves.flights
        self._semantic: Final = shelves.semantic
        self._backlog: Final = backlog
        self._clock: Final = clock
        self._rng: Final = rng

    async def keep(self, question: Question, answer: Answer, terms: Terms) -> Keeping:
        """Keep `answer` for the time of `terms` or up to a tenth less.

        Raises:
            MeshError: STORE_UNAVAILABLE; nothing was kept, or its acknowledgement was lost.
        """
        if terms.receipt is not None and not terms.receipt.asked_at:
            # The store was away when this was asked: what was invalidated since then, nobody can tell.
            return Keeping.OUTDATED
        key = question.key
        lifetime = terms.ttl * (1.0 - _JITTER * self._rng.random())
        entry = self._entry(question, answer, terms, lifetime)
        semantic = self._semantic if self._semantic is not None and self._semantic.covers(question) else None
        member = None
        if semantic is not None and terms.vector is not None:
            group = answer_group(answer.text)
            member = Member(key.entry, group, terms.vector, entry.created_at, entry.expires_at)
        new = NewEntry(entry, lifetime, question.scope.user_id, member, terms.lease_token)
        if not await self._store.put(key, new):
            self._flights.look(key)
            return Keeping.OUTDATED
        kept = Kept(entry)
        self._memory.put(key.entry, kept)
        self._flights.land(key, kept, entry.asked_at)
        if semantic is None:
            return Keeping.EXACT
        if member is not None:
            semantic.add(key, member)
        return self._settle(question, entry, terms)

    def _entry(self, question: Question, answer: Answer, terms: Terms, lifetime: float) -> Entry:
        now = self._clock.time()
        receipt = terms.receipt
        asked_at = terms.leased_at or (receipt.asked_at if receipt is not None else 0)
        return Entry(
            question.text,
            answer.text,
            answer.model,
            answer.usage,
            answer.cost_usd_micros,
            created_at=now,
            expires_at=now + lifetime,
            asked_at=asked_at,
            marks=(
                *question.scope.marks(),
                user_mark(question.scope.user_id),
                *map(tag_mark, terms.tags),
            ),
            pieces=answer.pieces,
        )

    def _settle(self, question: Question, entry: Entry, terms: Terms) -> Keeping:
        receipt = terms.receipt
        judged = receipt if receipt is not None and _can_be_settled(receipt, question) else None
        if terms.vector is not None and judged is None:
            return Keeping.SEMANTIC
        task = Settle(question.key, entry, terms.request_id, terms.vector, judged)
        taken = self._backlog.offer(task)
        return Keeping.SEMANTIC if taken or terms.vector is not None else Keeping.EXACT


def _can_be_settled(receipt: Receipt, question: Question) -> bool:
    # A receipt of another question judged a candidate that this answer says nothing about; what was served is
    # judged by its user.
    missed = receipt.ending in (Ending.MISSED, Ending.AUDITED)
    return missed and bool(receipt.candidate) and receipt.question == question.key.entry
