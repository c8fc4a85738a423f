"""The way of a lookup through the layers: memory, the same text in the store, the same meaning."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.semantic_cache.backlog import Backlog, LeaveAlias, Refresh, Release
from services.semantic_cache.entry import Alias, Entry, Kept
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.flight import Flights
from services.semantic_cache.floors import Floors
from services.semantic_cache.index.member import Vector
from services.semantic_cache.judging import Judge, Judgement, Verdict
from services.semantic_cache.ports import EntryStore, Opened, Standing
from services.semantic_cache.receipts import Ending, Receipt
from services.semantic_cache.scope import Key, Question
from services.semantic_cache.semantic import Found, SemanticSearch

_DEGRADING: Final = frozenset({Reason.STORE_UNAVAILABLE, Reason.OVERLOADED, Reason.PEER_UNAVAILABLE, Reason.DRAINING})
"""What turns a lookup into a miss: a cache that fails must not fail a turn."""


class Layer(Enum):
    """What a lookup ended in."""

    EXACT_MEMORY = "exact_memory"
    EXACT_REDIS = "exact_redis"
    SEMANTIC = "semantic"
    MISS = "miss"
    AUDIT = "audit"
    """A would-be hit by meaning that was held back, to see whether it would have been right."""
    WAITED = "waited"
    """A miss after waiting for another's answer: it was not there in time, or is not for others."""
    UNAVAILABLE = "unavailable"
    """A miss, because a layer could not be asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants of a lookup."""

    max_wrong_rate: float
    """The highest share of wrong answers among those served by meaning."""
    exact_only: bool = False
    max_wait: float = 0.0
    """Seconds it waits for another's answer; 0: not at all, and it gets no lease."""
    explain: bool = False


class Outcome(NamedTuple):
    """What a lookup found."""

    layer: Layer
    entry: Entry | None = None
    """Set for a hit."""
    similarity: float = 1.0
    wrong_probability: float = 0.0
    waited: bool = False
    """For another's answer."""
    held: bool = False
    """Another's answer is still being made: to ask again is to go on waiting."""
    vector: Vector | None = None
    """The question's embedding, if a search by meaning missed."""
    lease_token: bytes = b""
    """Set if the caller is to have the answer made."""
    receipt: Receipt | None = None
    judgement: Judgement | None = None
    """Set if somebody judged."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What a lookup goes through."""

    memory: ExactCache
    floors: Floors
    """What memory may still give out."""
    store: EntryStore
    flights: Flights
    semantic: SemanticSearch | None
    """None switches it off."""
    judge: Judge


class Finder:
    """Finds answers; what a lower layer finds is kept in the layers above.

    Args:
        layers: where to look.
        backlog: takes what need not be done before the answer.
        clock: tells what has expired.
        store_pause: seconds for which a store that failed is not asked again, so that its timeouts do not become
            everybody's latency.
    """

    def __init__(self, layers: Layers, backlog: Backlog, clock: Clock, store_pause: float = 0.5) -> None:
        self._memory: Final = layers.memory
        self._floors: Final = layers.floors
        self._store: Final = layers.store
        self._flights: Final = layers.flights
        self._semantic: Final = layers.semantic
        self._judge: Final = layers.judge
        self._backlog: Final = backlog
        self._clock: Final = clock
        self._store_pause: Final = store_pause
        self._paused_until = float("-inf")

    async def lookup(self, question: Question, asked: Asked) -> Outcome:
        """The best answer for `question`, from the highest layer that has one. Never fails for a layer's sake."""
        kept, judged = self._from_memory(question), None
        if kept is not None and (kept.alias is None or not asked.exact_only):
            judged = self._use(question, kept, Layer.EXACT_MEMORY, asked, kept.entry.asked_at)
            if judged.entry is not None:
                return judged
        if self._clock.monotonic() < self._paused_until:
            return _unasked(question)
        try:
            return await self._below(question, asked, judged)
        except MeshError as error:
            self._note(error)
            return _unasked(question)

    def _from_memory(self, question: Question) -> Kept | None:
        if not self._floors.trusted:
            return None
        key = question.key
        kept = self._memory.get(key.entry, self._clock.time())
        if kept is None:
            return None
        if self._floors.allows(key, kept):
            return kept
        self._memory.remove(key.entry)
        return None

    async def _below(self, question: Question, asked: Asked, judged: Outcome | None) -> Outcome:
        """`judged` is what became of an alias in memory that is not served: chance is not asked twice."""
        key, until = question.key, asyncio.get_running_loop().time() + asked.max_wait
        opened, waited = await self._ask(key, asked, until, past_alias=asked.exact_only or judged is not None)
        if opened.kept is not None:
            self._memory.put(key.entry, opened.kept)
            found = self._use(question, opened.kept, Layer.EXACT_REDIS, asked, opened.asked_at, waited)
            if found.entry is not None:
                return found
            judged = found
            if asked.max_wait > 0:
                # Where something is kept there is no lease. Without one all who ask this now would make their own.
                opened, again = await self._ask(key, asked, until, past_alias=True)
                waited = waited or again
                if opened.kept is not None:
                    return self._use(question, opened.kept, Layer.EXACT_REDIS, asked, opened.asked_at, waited)
        if waited and opened.standing in (Standing.HELD, Standing.OPEN):
            return self._missed(Layer.WAITED, question, opened)._replace(held=opened.standing is Standing.HELD)
        if judged is not None:
            return _to_be_made(judged, opened)
        return await self._meant(question, asked, opened)

    async def _ask(self, key: Key, asked: Asked, until: float, past_alias: bool) -> tuple[Opened, bool]:
        """What the store says in the end, and whether that took waiting."""
        flights = self._flights
        try:
            if asked.max_wait <= 0:
                return await self._store.open(key, past_alias=past_alias), False
            opened = await flights.open(key, past_alias)
            if opened.standing is not Standing.HELD:
                return opened, False
            return await self._wait(key, opened, until, past_alias), True
        except BaseException:
            for lost, token in flights.take_lost():
                self._backlog.offer(Release(lost, token))
            raise

    async def _meant(self, question: Question, asked: Asked, opened: Opened) -> Outcome:
        try:
            return await self._by_meaning(question, asked, opened)
        except BaseException as error:
            if isinstance(error, MeshError) and (error.reason in _DEGRADING or error.reason is Reason.INTERNAL):
                # A model that fails is no reason to fail a turn. The lease stays the caller's: it is going to have the
                # answer made.
                if error.reason is not Reason.INTERNAL:
                    self._note(error)
                return self._missed(Layer.UNAVAILABLE, question, opened)
            if opened.lease_token:
                self._backlog.offer(Release(question.key, opened.lease_token))
            raise

    async def _wait(self, key: Key, before: Opened, until: float, past_alias: bool) -> Opened:
        opened = await self._flights.wait(key, before.asked_at, until, past_alias)
        kept = opened.kept
        if kept is not None and not (self._floors.trusted and self._floors.allows(key, kept)):
            # It was read for whoever waits longest, so it may have been invalidated before this call began.
            opened = await self._store.open(key, past_alias=past_alias)
        return opened._replace(barred=max(before.barred, opened.barred))

    def _note(self, error: MeshError) -> None:
        if error.reason not in _DEGRADING:
            raise error
        if error.reason is Reason.STORE_UNAVAILABLE:
            self._paused_until = self._clock.monotonic() + self._store_pause

    def _use(
        self, question: Question, kept: Kept, layer: Layer, asked: Asked, asked_at: int, waited: bool = False
    ) -> Outcome:
        alias = kept.alias
        if alias is None:
            key = question.key
            receipt = Receipt(Ending.SERVED_EXACT, asked_at, key.scope, key.entry, key.entry)
            return Outcome(layer, kept.entry, waited=waited, receipt=receipt)
        judgement = self._judge.judge_again(question.key.tenant_id, alias, asked.max_wrong_rate)
        return _judged(question, kept.entry, alias, judgement, asked_at, waited)

    async def _by_meaning(self, question: Question, asked: Asked, opened: Opened) -> Outcome:
        found = await self._search(question, asked)
        if found is None:
            return self._missed(Layer.MISS, question, opened)
        judgement, neighbour, entry = found.judgement, found.neighbour, found.entry
        if judgement is None or neighbour is None or entry is None:
            return self._missed(Layer.MISS if judgement is None else _layer(judgement), question, opened, found)
        if entry.asked_at < opened.barred:
            # Somebody found it wrong for this very text.
            return self._missed(Layer.MISS, question, opened)
        own = self._from_memory(question)
        if own is not None and own.alias is None:
            # It came while this was searched.
            if opened.lease_token:
                self._backlog.offer(Release(question.key, opened.lease_token))
            return self._use(question, own, Layer.EXACT_MEMORY, asked, opened.asked_at)
        # Below 1 always: equal texts are found by the exact layers, and rounding may exceed 1.
        similarity = min(neighbour.similarity, 0.9999)
        alias = Alias(neighbour.entry, neighbour.group, similarity, judgement.features)
        kept = Kept(entry, alias)
        self._memory.put(question.key.entry, kept)
        self._backlog.offer(LeaveAlias(question.key, kept, question.scope.user_id, opened.lease_token))
        self._flights.land(question.key, kept, opened.asked_at)
        return _judged(question, entry, alias, judgement, opened.asked_at)

    async def _search(self, question: Question, asked: Asked) -> Found | None:
        semantic = self._semantic
        if asked.exact_only or semantic is None or not semantic.covers(question):
            return None
        if await semantic.refresh(question.key):
            self._backlog.offer(Refresh(question.key))
        if not semantic.searchable(question.key):
            return None
        return await semantic.search(question, asked.max_wrong_rate, asked.explain)

    def _missed(self, layer: Layer, question: Question, opened: Opened, found: Found | None = None) -> Outcome:
        judgement = None if found is None else found.judgement
        neighbour = None if found is None else found.neighbour
        if judgement is None or neighbour is None:
            receipt = Receipt(Ending.MISSED, opened.asked_at, question.key.scope, question.key.entry)
        else:
            receipt = _receipt(
                question, opened.asked_at, judgement, neighbour.entry, neighbour.group, neighbour.similarity
            )
        return Outcome(
            layer,
            vector=None if found is None else found.vector,
            lease_token=opened.lease_token,
            receipt=receipt,
            judgement=judgement,
        )


_ENDINGS: Final = {Verdict.SERVE: Ending.SERVED, Verdict.AUDIT: Ending.AUDITED, Verdict.MISS: Ending.MISSED}


def _unasked(question: Question) -> Outcome:
    """A miss of which nobody knows when it was: what is made of it cannot be kept, see `Keeper`."""
    key = question.key
    return Outcome(Layer.UNAVAILABLE, receipt=Receipt(Ending.MISSED, 0, key.scope, key.entry))


def _to_be_made(judged: Outcome, opened: Opened) -> Outcome:
    """What was judged before the store was asked, with what only the store knows."""
    receipt = None if judged.receipt is None else judged.receipt._replace(asked_at=opened.asked_at)
    return judged._replace(lease_token=opened.lease_token, receipt=receipt)


def _judged(
    question: Question, entry: Entry, alias: Alias, judgement: Judgement, asked_at: int, waited: bool = False
) -> Outcome:
    """What becomes of an answer that was found by meaning: a hit if the judge serves it."""
    receipt = _receipt(question, asked_at, judgement, alias.target, alias.group, alias.similarity)
    if judgement.verdict is not Verdict.SERVE:
        return Outcome(_layer(judgement), receipt=receipt, judgement=judgement)
    return Outcome(
        Layer.SEMANTIC,
        entry,
        alias.similarity,
        judgement.wrong_probability,
        waited,
        receipt=receipt,
        judgement=judgement,
    )


def _layer(judgement: Judgement) -> Layer:
    return Layer.AUDIT if judgement.verdict is Verdict.AUDIT else Layer.MISS


def _receipt(
    question: Question, asked_at: int, judgement: Judgement, candidate: bytes, group: bytes, similarity: float
) -> Receipt:
    return Receipt(
        _ENDINGS[judgement.verdict],
        asked_at,
        question.key.scope,
        question.key.entry,
        candidate,
        group,
        similarity,
        judgement.wrong_probability,
        judgement.propensity,
        judgement.features,
    )
