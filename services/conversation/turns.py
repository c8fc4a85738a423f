"""Runs a turn: claim, reuse or generate, keep, acknowledge. The order is the promise.

A turn is claimed under its request_id first, so a retry waits for or replays the first try. The answer is durable
in memory (or waits in the outbox) before the claim is closed, and the claim is closed before the caller hears that
the turn is done: whatever dies in between, a retry finds the answer and nothing is generated twice.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from libs.core.clock import Clock
from libs.core.context import require
from libs.core.errors import Code, MeshError, Reason
from libs.core.ids import random_id, sortable_id
from services.conversation.agent import Agent, Next, parse
from services.conversation.draft import Draft
from services.conversation.fingerprint import instructions, request_key, turn_digest
from services.conversation.lease import LeaseKeeper
from services.conversation.ports import (
    AnswerCache,
    Begun,
    CacheEntry,
    CacheHit,
    CacheMiss,
    CacheScope,
    ChatMessage,
    Done,
    Generated,
    History,
    Models,
    Outbox,
    TurnLedger,
    TurnRequestKey,
)
from services.conversation.turn import Answer, Message, Role, TextPart, Turn, TurnEvent, TurnRequest

_TRANSIENT: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED})
_FIRST_POLL: Final = 0.05
_SLOWEST_POLL: Final = 0.5


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """What operators may set about turns."""

    context_max_tokens: int
    lease_seconds: float
    fallback_answer: str
    """Given when no model can answer; empty fails the turn with the router's error instead."""


@dataclass(frozen=True, slots=True)
class TurnPorts:
    """Everything a turn reaches."""

    ledger: TurnLedger
    cache: AnswerCache
    history: History
    outbox: Outbox
    models: Models


class TurnRunner:
    """Answers turns for one agent. Holds no state between turns."""

    def __init__(self, ports: TurnPorts, agent: Agent, policy: TurnPolicy, clock: Clock) -> None:
        self._ports: Final = ports
        self._agent: Final = agent
        self._policy: Final = policy
        self._clock: Final = clock

    async def run(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """The answer's text as it is written, then the answer, durable by then.

        Closing the iterator early cancels the generation and gives the claim back.

        Raises:
            MeshError: NOT_FOUND, REQUEST_ID_REUSED, REQUEST_IN_PROGRESS, STORE_UNAVAILABLE, and what the model
                router raises if there is no fallback answer.
        """
        key = request_key(request)
        holder = random_id("h", 16)
        begun = await self._claim(key, holder)
        if isinstance(begun, Done):
            replay = begun.answer.as_replay()
            yield TextPart(replay.message.content)
            yield replay
            return
        finished = False
        try:
            draft = Draft(request, parse(request.content), self._clock)
            async with aclosing(self._answer(draft, begun, key, holder)) as events:
                async for event in events:
                    yield event
            yield await self._keep(draft, key)
            finished = True
        finally:
            if not finished:
                await self._give_back(key, holder)

    async def _claim(self, key: TurnRequestKey, holder: str) -> Begun | Done:
        pause = _FIRST_POLL
        while True:
            claim = await self._ports.ledger.begin(key, holder)
            if isinstance(claim, Begun | Done):
                return claim
            wait = min(pause, claim.seconds + 0.001)
            if require().deadline.remaining() <= wait:
                raise MeshError(Reason.REQUEST_IN_PROGRESS, retry_after=max(claim.seconds, _FIRST_POLL))
            await self._clock.sleep(wait)
            pause = min(pause * 2, _SLOWEST_POLL)

    async def _answer(
        self, draft: Draft, begun: Begun, key: TurnRequestKey, holder: str
    ) -> AsyncGenerator[TextPart, None]:
        if begun.attempt > 1 and (kept := await self._appended_before(draft)) is not None:
            draft.recovered(kept)
        else:
            scope = CacheScope(draft.request.options, instructions(begun.system_prompt), begun.context_fingerprint)
            found = await self._lookup(draft, scope)
            if isinstance(found, CacheMiss):
                lease = LeaseKeeper(self._ports.ledger, key, holder, self._policy.lease_seconds, self._clock)
                async with lease, aclosing(self._generate(draft, begun)) as parts:
                    async for part in parts:
                        yield part
                self._cache(draft, scope, found)
                return
            draft.reused(found)
        yield TextPart(draft.text)

    async def _appended_before(self, draft: Draft) -> Answer | None:
        try:
            return await self._ports.history.find_turn(draft.request.conversation_id, draft.request.request_id)
        except MeshError as error:
            _reraise_unless_transient(error)
            return None

    async def _lookup(self, draft: Draft, scope: CacheScope) -> CacheHit | CacheMiss:
        if draft.request.options.bypass_cache:
            return CacheMiss()
        try:
            return await self._ports.cache.lookup(scope, draft.question)
        except MeshError as error:
            _reraise_unless_transient(error)
            draft.degrade("semantic_cache")
            return CacheMiss()

    async def _history(self, draft: Draft, begun: Begun) -> tuple[ChatMessage, ...]:
        if not begun.context_fingerprint:
            return ()
        try:
            return await self._ports.history.context(
                draft.request.conversation_id, draft.question, self._policy.context_max_tokens
            )
        except MeshError as error:
            _reraise_unless_transient(error)
            draft.degrade("memory")
            return ()

    async def _generate(self, draft: Draft, begun: Begun) -> AsyncGenerator[TextPart, None]:
        agent = self._agent
        history = await self._history(draft, begun)
        intent = agent.classifier.classify(draft.question)
        asked = agent.decider.decide(draft.request, draft.question, intent, begun.system_prompt, history)
        try:
            async with aclosing(self._ports.models.generate(asked)) as parts:
                async for part in parts:
                    if isinstance(part, Generated):
                        draft.generated(part)
                    else:
                        draft.add(part.text)
                        yield part
        except MeshError as error:
            if draft.text or not self._may_fall_back(error):
                raise
            draft.fall_back(self._policy.fallback_answer)
            yield TextPart(draft.text)
            return
        verdict = agent.validator.validate(intent, draft.text, draft.stop_reason)
        draft.confidence = verdict.confidence
        if agent.route(verdict) is Next.ESCALATE:
            if not self._policy.fallback_answer:
                raise MeshError(Reason.MODEL_BAD_RESPONSE, "The model gave no usable answer.")
            draft.fall_back(self._policy.fallback_answer)
            yield TextPart(draft.text)

    def _may_fall_back(self, error: MeshError) -> bool:
        return bool(self._policy.fallback_answer) and error.code in _TRANSIENT

    def _cache(self, draft: Draft, scope: CacheScope, miss: CacheMiss) -> None:
        if not draft.cacheable:
            return
        self._ports.cache.put_later(
            CacheEntry(
                draft.request.request_id,
                scope,
                draft.question,
                draft.text,
                draft.model,
                draft.usage,
                draft.cost_usd_micros,
                miss.embedding,
            )
        )

    async def _keep(self, draft: Draft, key: TurnRequestKey) -> Answer:
        answer = draft.answer(sortable_id("msg", self._clock), require().trace_id)
        request = draft.request
        question = Message(
            sortable_id("msg", self._clock), Role.USER, request.content, draft.asked_at, request.request_id
        )
        turn = Turn(request.owner, request.conversation_id, request.request_id, question, answer)
        if not draft.was_appended:
            try:
                await self._ports.history.append(turn)
            except MeshError as error:
                _reraise_unless_transient(error)
                await self._ports.outbox.add(turn)
                draft.degrade("memory")
                answer = replace(answer, report=replace(answer.report, degraded=tuple(draft.degraded)))
        return await self._ports.ledger.finish(key, answer, turn_digest(draft.question, answer))

    async def _give_back(self, key: TurnRequestKey, holder: str) -> None:
        # The turn failed or its caller left. If giving back fails too, the lease runs out by itself.
        try:
            async with asyncio.timeout(1.0):
                await self._ports.ledger.abandon(key, holder)
        except (MeshError, TimeoutError):
            require().log_fields["claim_abandoned"] = False


def _reraise_unless_transient(error: MeshError) -> None:
    # A dependency that is down degrades a turn; one that says our request is wrong has found a bug of ours.
    if error.code not in _TRANSIENT:
        raise error
