"""The turn ledger in Redis: one script to claim a turn, one to finish it."""

from typing import Final

from agentmesh.conversation.v1 import conversation_pb2 as pb
from libs.core.errors import MeshError, Reason, not_found
from libs.store.connection import Store
from libs.store.replies import Reply, array, blob, integer
from libs.store.script import Script, load
from services.conversation.adapters import keys
from services.conversation.convert import answer_domain, answer_proto
from services.conversation.ports import Begun, Busy, Done, TurnLedger, TurnRequestKey
from services.conversation.turn import Answer

_MS: Final = 1000


class RedisTurnLedger(TurnLedger):
    """Implements the port; two round trips a turn."""

    def __init__(self, store: Store, *, lease_seconds: float, record_ttl_seconds: float) -> None:
        self._begin: Final = Script(store, load(__package__, "begin_turn.lua"), idempotent=True)
        self._finish: Final = Script(store, load(__package__, "finish_turn.lua"), idempotent=True)
        self._hold: Final = Script(store, load(__package__, "hold_turn.lua"), idempotent=True)
        self._stage: Final = Script(store, load(__package__, "stage_turn.lua"), idempotent=True)
        self._lease_ms: Final = int(lease_seconds * _MS)
        self._ttl_ms: Final = int(record_ttl_seconds * _MS)

    async def begin(self, request: TurnRequestKey, holder: str) -> Begun | Done | Busy:
        """Claim a turn."""
        reply = await self._begin(
            keys=[keys.conversation(request.owner, request.conversation_id), _record(request)],
            args=[holder, self._lease_ms, request.digest, self._ttl_ms],
        )
        outcome, *rest = array(reply)
        match outcome:
            case b"begun":
                return _begun(rest)
            case b"done":
                return Done(_answer(blob(rest[0])))
            case b"busy":
                return Busy(integer(rest[0]) / _MS)
            case b"reused":
                raise MeshError(Reason.REQUEST_ID_REUSED)
            case _:
                raise not_found("conversation")

    async def renew(self, request: TurnRequestKey, holder: str) -> bool:
        """Prolong the lease."""
        return integer(await self._hold(keys=[_record(request)], args=[holder, self._lease_ms])) == 1

    async def stage(self, request: TurnRequestKey, holder: str, answer: Answer) -> None:
        """Keep an answer that is not finished yet."""
        written = answer_proto(answer).SerializeToString()
        if integer(await self._stage(keys=[_record(request)], args=[holder, written])) == 0:
            raise MeshError(Reason.REQUEST_IN_PROGRESS, retry_after=self._lease_ms / _MS)

    async def finish(self, request: TurnRequestKey, answer: Answer, turn_digest: str) -> Answer:
        """Record the answer; the first to finish wins."""
        written = answer_proto(answer).SerializeToString()
        standing = await self._finish(
            keys=[keys.conversation(request.owner, request.conversation_id), _record(request)],
            args=[written, turn_digest, self._ttl_ms, request.digest],
        )
        if standing is None:
            raise not_found("conversation")
        if standing == written:
            return answer
        return _answer(blob(standing)).as_replay()

    async def abandon(self, request: TurnRequestKey, holder: str) -> None:
        """Give the claim back."""
        await self._hold(keys=[_record(request)], args=[holder, 0])


def _begun(reply: list[Reply]) -> Begun:
    attempt, system_prompt, fingerprint, turn_count, staged = reply
    return Begun(
        integer(attempt),
        blob(system_prompt).decode(),
        blob(fingerprint).decode(),
        integer(turn_count),
        None if staged is None else _answer(blob(staged)),
    )


def _answer(written: bytes) -> Answer:
    return answer_domain(pb.SendMessageResponse.FromString(written))


def _record(request: TurnRequestKey) -> str:
    return keys.turn(request.owner, request.request_id)
