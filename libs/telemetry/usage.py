"""Usage on its way to monitoring: recorded at once, sent in batches, never in the way of a request."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc
from prometheus_client import Counter

from libs.core.clock import Clock
from libs.core.errors import MeshError

if TYPE_CHECKING:
    from agentmesh.monitoring.v1.monitoring_pb2 import UsageEvent

_LAST_FLUSH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class UsageOptions:
    """How much is buffered and how often it is sent."""

    capacity: int = 10_000
    """Events kept while monitoring is away; about 300 bytes each."""
    batch: int = 500
    """Events in one report, at most."""
    interval: float = 1.0
    """Seconds between flushes."""


class UsageStatistics(NamedTuple):
    """A snapshot of the reporter."""

    waiting: int
    """Events in the buffer."""
    sent: int
    """Events that monitoring has acknowledged."""
    dropped: int
    """Events lost because the buffer was full."""


class UsageReporter:
    """A bounded buffer of usage events.

    Args:
        send: delivers a batch; raises `MeshError` or `grpc.RpcError` if it could not. A batch may be sent twice:
            the receiver recognises events by their id.
        clock: paces the flushes.
        options: sizes and pace.
        dropped: counts the losses for the operators (`catalogue.USAGE_DROPPED`).
    """

    def __init__(
        self,
        send: Callable[[Sequence["UsageEvent"]], Awaitable[None]],
        clock: Clock,
        options: UsageOptions | None = None,
        dropped: Counter | None = None,
    ) -> None:
        self._send = send
        self._clock = clock
        self._options = options if options is not None else UsageOptions()
        self._dropped_metric = dropped
        self._waiting: deque[UsageEvent] = deque()
        self._sent = 0
        self._dropped = 0

    def record(self, event: "UsageEvent") -> None:
        """Keep the event for the next flush; when the buffer is full the event is dropped and counted."""
        if len(self._waiting) < self._options.capacity:
            self._waiting.append(event)
            return
        self._dropped += 1
        if self._dropped_metric is not None:
            self._dropped_metric.inc()

    async def run(self) -> None:
        """Flush every interval until cancelled, and once more then, for two seconds at most."""
        try:
            while True:
                await self._clock.sleep(self._options.interval)
                await self.flush()
        finally:
            await self._last_flush()

    async def flush(self) -> None:
        """Send all that is waiting, batch by batch; the first failure leaves the rest for the next flush."""
        while self._waiting:
            batch = [self._waiting[index] for index in range(min(self._options.batch, len(self._waiting)))]
            try:
                await self._send(batch)
            except (MeshError, grpc.RpcError):
                return
            # Removed only now, so that a failed or cancelled send loses nothing.
            for _ in batch:
                self._waiting.popleft()
            self._sent += len(batch)

    def statistics(self) -> UsageStatistics:
        """What happened so far."""
        return UsageStatistics(len(self._waiting), self._sent, self._dropped)

    async def _last_flush(self) -> None:
        try:
            async with asyncio.timeout(_LAST_FLUSH_SECONDS):
                await self.flush()
        except TimeoutError:
            return

    def __repr__(self) -> str:
        return f"UsageReporter({self.statistics()})"
