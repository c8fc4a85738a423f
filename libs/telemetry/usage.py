"""Usage on its way to monitoring: recorded at once, sent in batches, never in the way of a request."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

import grpc
from prometheus_client import Counter

from agentmesh.monitoring.v1.monitoring_pb2 import ReportUsageRequest, ReportUsageResponse, UsageEvent
from libs.core.clock import Clock
from libs.core.errors import Code, MeshError
from libs.core.ids import new_request_id
from libs.telemetry.logs import Logger

_LAST_FLUSH_SECONDS: Final = 2.0
_MAX_BATCH: Final = 5_000  # monitoring refuses more
# Another try may end differently. Every other refusal is about the batch itself, and would stand in the way of all
# that come after it.
_PASSING: Final = frozenset(
    {
        Code.CANCELLED,  # by a server that stops
        Code.UNKNOWN,
        Code.DEADLINE_EXCEEDED,
        Code.RESOURCE_EXHAUSTED,
        Code.ABORTED,
        Code.INTERNAL,
        Code.UNAVAILABLE,
        Code.UNAUTHENTICATED,  # our token is renewed
    }
)


@dataclass(frozen=True, slots=True)
class UsageOptions:
    """How much is buffered and how often it is sent."""

    capacity: int = 10_000
    """Events kept while monitoring is away; about 300 bytes each."""
    batch: int = 500
    """Events in one report, at most; 1 to 5,000."""
    interval: float = 1.0
    """Seconds between flushes."""

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {self.capacity}")
        if not 1 <= self.batch <= _MAX_BATCH:
            raise ValueError(f"batch must be 1 to {_MAX_BATCH}, got {self.batch}")
        if not 0 < self.interval < inf:
            raise ValueError(f"interval must be above 0 and finite, got {self.interval}")


class UsageStatistics(NamedTuple):
    """A snapshot of the reporter."""

    waiting: int
    """Events not acknowledged yet."""
    sent: int
    """Events that monitoring has acknowledged."""
    dropped: int
    """Events lost because the buffer was full, monitoring refused their batch for good, or the process ended."""


class UsageReporter:
    """A bounded buffer of usage events.

    A batch keeps its request_id until it is acknowledged, so one that is sent twice counts once.

    Args:
        send: delivers a batch, such as `MonitoringServiceStub(channel).ReportUsage`; raises `MeshError` or
            `grpc.RpcError` if it could not. A batch that is refused for good (INVALID_ARGUMENT, say) is dropped.
        clock: paces the flushes.
        options: sizes and pace.
        dropped: counts the losses for the operators (`catalogue.USAGE_DROPPED`).
        log: told of refusals, if given.
    """

    def __init__(
        self,
        send: Callable[[ReportUsageRequest], Awaitable[ReportUsageResponse]],
        clock: Clock,
        options: UsageOptions | None = None,
        dropped: Counter | None = None,
        log: Logger | None = None,
    ) -> None:
        self._send = send
        self._clock = clock
        self._options = options if options is not None else UsageOptions()
        self._dropped_metric = dropped
        self._log = log
        self._buffer: deque[UsageEvent] = deque()
        self._unacknowledged: ReportUsageRequest | None = None
        self._sent = 0
        self._dropped = 0

    def record(self, event: UsageEvent) -> None:
        """Keep the event for the next flush; when the buffer is full the event is dropped and counted."""
        if len(self._buffer) < self._options.capacity:
            self._buffer.append(event)
        else:
            self._drop(1)

    async def run(self) -> None:
        """Flush every interval until cancelled, and once more then, for two seconds at most; the rest is dropped."""
        try:
            while True:
                await self._clock.sleep(self._options.interval)
                await self.flush()
        finally:
            await self._last_flush()

    async def flush(self) -> None:
        """Send all that is waiting, batch by batch; a failure that may pass leaves the rest for the next flush."""
        while (batch := self._next_batch()) is not None:
            # Set until acknowledged: a failed or cancelled send loses nothing.
            self._unacknowledged = batch
            try:
                await self._send(batch)
            except (MeshError, grpc.RpcError) as error:
                code = _code(error)
                if code in _PASSING:
                    return
                self._refused(code, len(batch.events))
            else:
                self._sent += len(batch.events)
            self._unacknowledged = None

    def statistics(self) -> UsageStatistics:
        """What happened so far."""
        in_doubt = len(self._unacknowledged.events) if self._unacknowledged is not None else 0
        return UsageStatistics(len(self._buffer) + in_doubt, self._sent, self._dropped)

    def _next_batch(self) -> ReportUsageRequest | None:
        if self._unacknowledged is not None:
            return self._unacknowledged
        if not self._buffer:
            return None
        size = min(self._options.batch, len(self._buffer))
        return ReportUsageRequest(request_id=new_request_id(), events=[self._buffer.popleft() for _ in range(size)])

    def _refused(self, code: Code, events: int) -> None:
        if self._log is not None:
            self._log.error("usage.refused", code=code.name, events=events)
        self._drop(events)

    def _drop(self, events: int) -> None:
        self._dropped += events
        if self._dropped_metric is not None:
            self._dropped_metric.inc(events)

    async def _last_flush(self) -> None:
        try:
            async with asyncio.timeout(_LAST_FLUSH_SECONDS):
                await self.flush()
        except TimeoutError:
            pass  # What it did not send is counted below.
        finally:
            self._give_up()

    def _give_up(self) -> None:
        left = self.statistics().waiting
        self._buffer.clear()
        self._unacknowledged = None
        if left:
            self._drop(left)

    def __repr__(self) -> str:
        return f"UsageReporter({self.statistics()})"


def _code(error: MeshError | grpc.RpcError) -> Code:
    if isinstance(error, MeshError):
        return error.code
    if isinstance(error, grpc.aio.AioRpcError | grpc.Call):
        return Code(error.code().value[0])
    return Code.UNKNOWN
