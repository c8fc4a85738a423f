"""Runs a turn: claim, reuse or generate, keep, acknowledge. The order is the promise.

A turn is claimed under its request_id first, so a retry waits for or replays the first try. The answer is durable
in memory (or waits in the outbox) before the claim is closed, and the claim is closed before the caller hears that
the turn is done: whatever dies in between, a retry finds the answer and nothing is generated twice.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar

from libs.core.clock import Clock
from libs.core.context import require
from libs.core.errors import MeshError, Reason
from libs.core.ids import random_id
from services.conversation.agent import Agent, parse
from services.conversation.cache_ports import AnswerCache, CacheHeld, CacheHit, CacheMiss, CacheScope
from services.conversation.dependencies import raise_if_ours
from services.conversation.draft import Draft
from services.conversation.fingerprint import instructions, request_key
from services.conversation.generation import AnswerWriter, GenerationPolicy
from services.conversation.keeping import Claim, Keeper
from services.conversation.lease import LeaseKeeper, Renewal, claim_renewal
from services.conversation.ports import Begun, Done, History, Models, Outbox, TurnLedger, TurnRequestKey
from services.conversation.sharing import Sharing
from services.conversation.turn import TextPart, TurnEvent, TurnRequest

F = TypeVar("F")

_FIRST_POLL: Final = 0.05
_SLOWEST_POLL: Final = 0.5
_GIVE_BACK_SECONDS: Final = 1.0
# Of the time that is left: who waited in vain still has to have an answer made.
_WAITING_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """What operators may set about turns."""

    lease_seconds: float
    cache_wait_seconds: float
    """How long to wait for an answer that another caller is having made; 0 makes one at once."""
    generation: GenerationPolicy


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
        self._ledger: Final = ports.ledger
        self._cache: Final = ports.cache
        self._writer: Final = AnswerWriter(ports.history, ports.models, agent, policy.generation)
        self._keeper: Final = Keeper(ports.ledger, ports.history, ports.outbox, clock)
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
        begun = await self._begin(key, holder)
        if isinstance(begun, Done):
            replay = begun.answer.as_replay()
            yield TextPart(replay.message.content)
            yield replay
            return
        claim = Claim(key, holder, begun)
        finished = False
        try:
            draft = Draft(request, parse(request.content), self._clock)
            async with aclosing(self._answer(draft, claim)) as events:
                async for event in events:
                    yield event
            answer = await self._keeper.keep(draft, claim)
            finished = True
            yield answer
        finally:
            if not finished:
                await self._give_back(claim)

    async def _begin(self, key: TurnRequestKey, holder: str) -> Begun | Done:
        pause = _FIRST_POLL
        while True:
            standing = await self._ledger.begin(key, holder)
            if isinstance(standing, Begun | Done):
                return standing
            wait = min(pause, standing.seconds + 0.001)
            if require().deadline.remaining() <= wait:
                raise MeshError(Reason.REQUEST_IN_PROGRESS, retry_after=max(standing.seconds, _FIRST_POLL))
            await self._clock.sleep(wait)
            pause = min(pause * 2, _SLOWEST_POLL)

    async def _answer(self, draft: Draft, claim: Claim) -> AsyncGenerator[TextPart, None]:
        begun = claim.begun
        if not await self._keeper.recover(draft, begun):
            scope = CacheScope(draft.request.options, instructions(begun.system_prompt), begun.context_fingerprint)
            found = await self._reuse(draft, scope, claim)
            if isinstance(found, CacheMiss):
                async with aclosing(self._make(draft, claim, Sharing(self._cache, scope, draft, found))) as parts:
                    async for part in parts:
                        yield part
                return
            draft.reused(found)
        for text in draft.pieces:
            yield TextPart(text)

    async def _make(self, draft: Draft, claim: Claim, sharing: Sharing) -> AsyncGenerator[TextPart, None]:
        with sharing:
            async with (
                self._holding(claim, *sharing.renewals),
                aclosing(self._writer.write(draft, claim.begun)) as parts,
            ):
                async for part in parts:
                    yield part

    def _holding(self, claim: Claim, *others: Renewal) -> LeaseKeeper:
        renewal = claim_renewal(self._ledger, claim.key, claim.holder, self._policy.lease_seconds)
        return LeaseKeeper(self._clock, renewal, *others)

    async def _reuse(self, draft: Draft, scope: CacheScope, claim: Claim) -> CacheHit | CacheMiss:
        options = draft.request.options
        if options.bypass_cache:
            return CacheMiss(unasked=True)
        max_wait = min(self._policy.cache_wait_seconds, require().deadline.remaining() * _WAITING_SHARE)
        found = await _unless_away(self._cache.lookup(scope, draft.question, max_wait), draft)
        if isinstance(found, CacheHeld):
            # Longer, maybe, than the claim lasts by itself.
            async with self._holding(claim):
                found = await _unless_away(self._cache.wait(scope, draft.question, found), draft)
        if isinstance(found, CacheHit) and 0 < options.max_tokens < found.usage.output_tokens:
            # Longer than this caller wants it; whoever put it had allowed more.
            return CacheMiss(unasked=True)
        return found

    async def _give_back(self, claim: Claim) -> None:
        # The turn failed or its caller left. If giving back fails too, the lease runs out by itself.
        try:
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await self._ledger.abandon(claim.key, claim.holder)
        except (MeshError, TimeoutError):
            require().log_fields["claim_abandoned"] = False


async def _unless_away(asked: Awaitable[F], draft: Draft) -> F | CacheMiss:
    try:
        return await asked
    except MeshError as error:
        raise_if_ours(error)
        draft.degrade("semantic_cache")
        return CacheMiss(unasked=True)
