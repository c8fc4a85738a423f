"""What the cache is told off the path of the turn: answers to keep, leases that end without one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from agentmesh.semantic_cache.v1 import semantic_cache_pb2_grpc
from libs.core.clock import Clock
from libs.core.context import RequestContext, require, scope
from libs.core.deadline import Deadline
from libs.core.errors import MeshError
from libs.mesh.errors import typed_errors
from libs.telemetry import catalogue
from libs.telemetry.telemetry import Telemetry
from services.conversation.adapters import cache_wire as wire
from services.conversation.cache_ports import CacheEntry, CacheLease, CacheScope, Unshared

_WAITING_PUTS: Final = 1_000
# Releases are small, and others wait for them: they still find room where answers do not.
_WAITING: Final = 2 * _WAITING_PUTS
_WRITERS: Final = 4
_TIMEOUT: Final = 5.0
_DRAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Write:
    """One call to make, with the rights of the caller whose turn it belongs to."""

    send: Callable[[], Awaitable[object]]
    asked_in: RequestContext
    is_put: bool


class CacheWrites:
    """Sends puts and releases in the order they came, a few at a time, while `run` runs."""

    def __init__(
        self, stub: "semantic_cache_pb2_grpc.SemanticCacheServiceAsyncStub", telemetry: Telemetry, clock: Clock
    ) -> None:
        self._stub: Final = stub
        self._clock: Final = clock
        self._log: Final = telemetry.log
        self._lost: Final = telemetry.metrics.counter(catalogue.CONVERSATION_CACHE_PUTS_LOST)
        self._waiting: Final[asyncio.Queue[_Write]] = asyncio.Queue(_WAITING)

    def put(self, entry: CacheEntry) -> None:
        """Keep an answer; if too many wait it is dropped and counted, and its lease is released."""
        if self._waiting.qsize() < _WAITING_PUTS:
            self._waiting.put_nowait(_Write(lambda: self._put(entry), require(), is_put=True))
            return
        self._lost.inc()
        if entry.miss.lease is not None:
            self.release(entry.scope, entry.question, entry.miss.lease, Unshared.NOT_REUSABLE)

    def release(self, scope: CacheScope, question: str, lease: CacheLease, why: Unshared) -> None:
        """Give a lease back; if there is no room even for that, it runs out by itself."""
        if not self._waiting.full():
            write = _Write(lambda: self._release(scope, question, lease, why), require(), is_put=False)
            self._waiting.put_nowait(write)

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_WRITERS):
                group.create_task(self._send_for_ever())

    async def drain(self) -> None:
        """Send what still waits, a second long at most: a process that ends should not be waited for."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                async with asyncio.TaskGroup() as group:
                    for _ in range(_WRITERS):
                        group.create_task(self._send_what_waits())
        except TimeoutError:
            left = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
            self._lost.inc(sum(write.is_put for write in left))
            self._log.warning("cache.writes_left", count=len(left))

    async def _send_what_waits(self) -> None:
        while not self._waiting.empty():
            await self._send(self._waiting.get_nowait())

    async def _send_for_ever(self) -> None:
        while True:
            write = await self._waiting.get()
            try:
                await self._send(write)
            except asyncio.CancelledError:
                # It may not have arrived; to send it again is safe.
                if not self._waiting.full():
                    self._waiting.put_nowait(write)
                raise

    async def _send(self, write: _Write) -> None:
        asked_in = write.asked_in
        # The turn's own deadline is over by now, or soon; everything else of its context still holds.
        deadline = Deadline.after(_TIMEOUT, self._clock)
        context = RequestContext(deadline, asked_in.traceparent, asked_in.principal, asked_in.token)
        try:
            with scope(context), typed_errors("semantic_cache"):
                await write.send()
        except MeshError as error:
            if write.is_put:
                self._lost.inc()
            self._log.warning("cache.write_lost", put=write.is_put, reason=error.reason.name)

    def _put(self, entry: CacheEntry) -> Awaitable[object]:
        return self._stub.Put(wire.put_request(entry), timeout=_TIMEOUT, metadata=wire.affinity(entry.scope))

    def _release(self, scope: CacheScope, question: str, lease: CacheLease, why: Unshared) -> Awaitable[object]:
        request = wire.release_request(scope, question, lease, why)
        return self._stub.ReleaseLease(request, timeout=_TIMEOUT, metadata=wire.affinity(scope))
