"""Makes a finished turn durable, and finds what an earlier try had made durable."""

from dataclasses import dataclass, replace
from typing import Final, NoReturn

from libs.core.clock import Clock
from libs.core.context import require
from libs.core.errors import MeshError, Reason, not_found
from libs.core.ids import sortable_id
from services.conversation.dependencies import raise_if_never_taken, raise_if_ours
from services.conversation.draft import Draft
from services.conversation.fingerprint import turn_digest
from services.conversation.ports import Begun, History, Outbox, TurnLedger, TurnRequestKey
from services.conversation.turn import Answer, Message, Role, Turn

_ASK_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A turn that is ours to answer."""

    key: TurnRequestKey
    holder: str
    begun: Begun


class Keeper:
    """Memory first, or the outbox while memory is away; then the ledger."""

    def __init__(self, ledger: TurnLedger, history: History, outbox: Outbox, clock: Clock) -> None:
        self._ledger: Final = ledger
        self._history: Final = history
        self._outbox: Final = outbox
        self._clock: Final = clock

    async def recover(self, draft: Draft, begun: Begun) -> bool:
        """Whether an earlier try had got as far as an answer, which then is this one's.

        Raises:
            MeshError: PEER_UNAVAILABLE if only memory could say so and cannot be read: nothing is paid twice.
        """
        if begun.attempt == 1:
            return False
        if begun.staged is not None:
            draft.recovered(begun.staged, was_appended=False)
            return True
        try:
            kept = await self._history.find_turn(draft.request.conversation_id, draft.request.request_id)
        except MeshError as error:
            raise_if_ours(error)
            _try_later(error)
        if kept is None:
            return False
        draft.recovered(kept, was_appended=True)
        return True

    async def keep(self, draft: Draft, claim: Claim) -> Answer:
        """The answer, durable: it, or the one of another holder who was first.

        Raises:
            MeshError: it is not known to be durable.
        """
        answer = draft.answer(sortable_id("msg", self._clock), require().trace_id)
        if not draft.was_appended:
            answer = await self._append(draft, claim, answer)
        return await self._ledger.finish(claim.key, answer, turn_digest(draft.question, answer))

    async def _append(self, draft: Draft, claim: Claim, answer: Answer) -> Answer:
        request = draft.request
        question_id = sortable_id("msg", self._clock)
        question = Message(question_id, Role.USER, request.content, draft.asked_at, request.request_id)
        turn = Turn(request.owner, request.conversation_id, request.request_id, question, answer)
        try:
            is_first = await self._history.append(turn)
        except MeshError as error:
            raise_if_never_taken(error)
            answer = _without_memory(answer)
            # Staged before it is in the outbox: a retry after a crash in between must not find another answer to
            # a turn that memory is about to be given this one for.
            await self._ledger.stage(claim.key, claim.holder, answer)
            await self._outbox.add(turn)
            return answer
        return answer if is_first else await self._first_answer(answer, request.conversation_id)

    async def _first_answer(self, ours: Answer, conversation_id: str) -> Answer:
        """What memory has under the turn's request_id: the ledger must not say anything else."""
        try:
            kept = await self._history.find_turn(conversation_id, ours.message.request_id)
        except MeshError as error:
            raise_if_never_taken(error)
            _try_later(error)
        if kept is None:
            raise not_found("conversation")
        # Often it is ours: its first append had got through and only the reply was lost.
        return ours if kept.message.message_id == ours.message.message_id else kept


def _try_later(error: MeshError) -> NoReturn:
    retry_after = error.retry_after or _ASK_AGAIN_SECONDS
    raise MeshError(Reason.PEER_UNAVAILABLE, retry_after=retry_after, domain="memory") from error


def _without_memory(answer: Answer) -> Answer:
    degraded = tuple(dict.fromkeys((*answer.report.degraded, "memory")))
    return replace(answer, report=replace(answer.report, degraded=degraded))
