"""The answer cache behind the semantic-cache service."""

from types import TracebackType
from typing import Final, Self

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.semantic_cache.v1 import semantic_cache_pb2_grpc
from libs.core.clock import Clock
from libs.core.errors import MeshError
from libs.mesh.errors import typed_errors
from libs.telemetry.telemetry import Telemetry
from services.conversation.adapters import cache_wire as wire
from services.conversation.adapters.cache_writes import CacheWrites
from services.conversation.cache_ports import (
    AnswerCache,
    CacheEntry,
    CacheHeld,
    CacheHit,
    CacheLease,
    CacheMiss,
    CacheScope,
    Unshared,
)

# What the cache takes by contract; longer questions are hardly ever asked twice.
_LONGEST_QUESTION_BYTES: Final = 32_768
# Of `timeout`, that the first call may wait for another caller's answer. The rest is for the lookup itself, and for a
# second replica that has to be asked because the first one died at the end of the wait, on a machine that is busy.
_FIRST_WAIT: Final = 0.2
# Of `timeout`, that a call takes that is in order, beside what it waits.
_BESIDES: Final = 0.5
# Seconds that are not worth another call.
_SHORTEST_WAIT: Final = 0.005


class SemanticCache(AnswerCache):
    """Implements the port. Leaving its block sends what still waits, once nothing runs any more.

    A long wait is a row of short calls, so that a replica that hangs or drains is noticed soon. The lookup waits so
    little that it takes no longer than `timeout` whatever happens. Once it is known that the answer is being made, a
    call waits for as long as `timeout`; one that fails is followed by a short one, which may find a replica that is
    well.

    Args:
        stub: of the service; its channel keeps calls with equal affinity together.
        timeout: seconds that a call may take that does not wait, or not for long.
        telemetry: counts and logs what could not be kept.
        clock: what waiting is measured with.
    """

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
        self._writes: Final = CacheWrites(stub, telemetry, clock)
        self.run: Final = self._writes.run
        """The background part that keeps answers and gives leases back."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._writes.drain()

    async def lookup(self, scope: CacheScope, question: str, max_wait: float) -> CacheHit | CacheMiss | CacheHeld:
        """An answer for the question in the scope, if there is one by now."""
        if _too_long(question):
            return CacheMiss()
        wait = min(self._timeout * _FIRST_WAIT, max_wait)
        asked_at = self._clock.monotonic()
        response = await self._ask(scope, question, wait)
        if response.HasField("hit"):
            return wire.hit(response.hit)
        waited = self._clock.monotonic() - asked_at
        if response.held and waited < max_wait:
            return CacheHeld(max_wait - waited)
        return wire.miss(response)

    async def wait(self, scope: CacheScope, question: str, held: CacheHeld) -> CacheHit | CacheMiss:
        """The answer that another caller is having made."""
        now = self._clock.monotonic()
        until = now + held.left
        longest = self._timeout
        while True:
            wait = max(0.0, min(longest, until - now))
            try:
                response = await self._ask(scope, question, wait)
            except MeshError:
                if longest < self._timeout:
                    raise
                now, longest = self._clock.monotonic(), self._timeout * _FIRST_WAIT
                continue
            if response.HasField("hit"):
                return wire.hit(response.hit)
            now, longest = self._clock.monotonic(), self._timeout
            if until - now < _SHORTEST_WAIT or not response.held:
                return wire.miss(response)

    async def _ask(self, scope: CacheScope, question: str, wait: float) -> pb.LookupResponse:
        request = wire.lookup_request(scope, question, wait)
        timeout = max(self._timeout, wait + self._timeout * _BESIDES)
        with typed_errors("semantic_cache"):
            return await self._stub.Lookup(request, timeout=timeout, metadata=wire.affinity(scope))

    async def renew(self, scope: CacheScope, question: str, lease: CacheLease) -> bool:
        """Prolong a lease."""
        request = wire.renew_request(scope, question, lease)
        with typed_errors("semantic_cache"):
            response = await self._stub.RenewLease(request, timeout=self._timeout, metadata=wire.affinity(scope))
        return response.renewed

    def put_later(self, entry: CacheEntry) -> None:
        """Keep an answer with the caller's own rights, after the turn."""
        if not _too_long(entry.question):
            self._writes.put(entry)

    def release_later(self, scope: CacheScope, question: str, lease: CacheLease, why: Unshared) -> None:
        """Give a lease back, after the turn."""
        self._writes.release(scope, question, lease, why)


def _too_long(question: str) -> bool:
    # Bytes are counted only where they could be too many; a character takes up to four.
    return len(question) * 4 > _LONGEST_QUESTION_BYTES and len(question.encode()) > _LONGEST_QUESTION_BYTES
