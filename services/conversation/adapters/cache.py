"""The answer cache behind the semantic-cache service; answers are put off the path of the turn."""

import asyncio
from typing import Final

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.semantic_cache.v1 import semantic_cache_pb2_grpc
from libs.core.clock import Clock
from libs.core.context import RequestContext, require, scope
from libs.core.deadline import Deadline
from libs.core.errors import MeshError
from libs.mesh.errors import typed_errors
from libs.telemetry import catalogue
from libs.telemetry.telemetry import Telemetry
from services.conversation.convert import tier_proto, usage_domain, usage_proto
from services.conversation.ports import AnswerCache, CacheEntry, CacheHit, CacheMiss, CacheScope
from services.conversation.turn import CacheLayer

_WAITING_PUTS: Final = 1_000
_WRITERS: Final = 4
_PUT_TIMEOUT: Final = 5.0
# What the cache takes by contract; longer questions are hardly ever asked twice.
_LONGEST_QUESTION_BYTES: Final = 32_768


class SemanticCache(AnswerCache):
    """Implements the port. `run` is the background part that keeps answers; without it none are kept."""

    def __init__(
        self,
        stub: "semantic_cache_pb2_grpc.SemanticCacheServiceAsyncStub",
        *,
        timeout: float,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._stub: Final = stub
        self._timeout: Final = timeout
        self._clock: Final = clock
        self._log: Final = telemetry.log
        self._lost: Final = telemetry.metrics.counter(catalogue.CONVERSATION_CACHE_PUTS_LOST)
        self._waiting: Final[asyncio.Queue[tuple[CacheEntry, RequestContext]]] = asyncio.Queue(_WAITING_PUTS)

    async def lookup(self, scope: CacheScope, question: str) -> CacheHit | CacheMiss:
        """An answer for the question in the scope."""
        if _too_long(question):
            return CacheMiss()
        request = pb.LookupRequest(scope=_scope(scope), text=question, exact_only=scope.personal)
        with typed_errors("semantic_cache"):
            response = await self._stub.Lookup(request, timeout=self._timeout)
        if not response.HasField("hit"):
            return CacheMiss(response.embedding)
        hit = response.hit
        return CacheHit(
            hit.answer,
            hit.model,
            usage_domain(hit.usage),
            hit.cost_usd_micros,
            CacheLayer(hit.layer),
            hit.similarity,
        )

    def put_later(self, entry: CacheEntry) -> None:
        """Keep an answer with the caller's own rights, after the turn."""
        if _too_long(entry.question):
            return
        try:
            self._waiting.put_nowait((entry, require()))
        except asyncio.QueueFull:
            self._lost.inc()

    async def run(self) -> None:
        """Keep answers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_WRITERS):
                group.create_task(self._write())

    async def _write(self) -> None:
        while True:
            entry, asked_in = await self._waiting.get()
            # The turn's own deadline is over by now, or soon; everything else of its context still holds.
            context = RequestContext(
                Deadline.after(_PUT_TIMEOUT, self._clock), asked_in.traceparent, asked_in.principal, asked_in.token
            )
            try:
                with scope(context), typed_errors("semantic_cache"):
                    await self._stub.Put(_put(entry), timeout=_PUT_TIMEOUT)
            except MeshError as error:
                self._lost.inc()
                self._log.warning("cache.put_lost", reason=error.reason.name)


def _too_long(question: str) -> bool:
    # Bytes are counted only where they could be too many; a character takes up to four.
    return len(question) * 4 > _LONGEST_QUESTION_BYTES and len(question.encode()) > _LONGEST_QUESTION_BYTES


def _scope(value: CacheScope) -> pb.Scope:
    return pb.Scope(
        tier=tier_proto(value.options.tier),
        model=value.options.model,
        instructions_fingerprint=value.instructions_fingerprint,
        context_fingerprint=value.context_fingerprint,
        personal=value.personal,
    )


def _put(entry: CacheEntry) -> pb.PutRequest:
    return pb.PutRequest(
        request_id=entry.request_id,
        scope=_scope(entry.scope),
        text=entry.question,
        answer=entry.text,
        model=entry.model,
        usage=usage_proto(entry.usage),
        cost_usd_micros=entry.cost_usd_micros,
        embedding=entry.embedding,
    )
