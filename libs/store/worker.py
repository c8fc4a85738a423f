"""A pool of workers over one `StreamQueue`: bounded concurrency, heartbeats, takeover, retries, drain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from libs.core.clock import Clock
from libs.core.errors import MeshError
from libs.store.entries import Entry
from libs.store.streams import StreamQueue
from libs.telemetry.logs import Logger

_BLOCK_SECONDS: Final = 1.0
_UPKEEP_SECONDS: Final = 1.0
_AFTER_FAILURE_SECONDS: Final = 1.0
_HEARTBEATS_PER_TAKEOVER: Final = 3


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done, or there is nothing left to do."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Dead:
    """Give it up."""

    reason: str


Disposition = Done | Retry | Dead


class Worker(Protocol):
    """Does one piece of work. May be given the same one again, so its effects must be idempotent."""

    async def work(self, entry: Entry) -> Disposition:
        """Do it and say what becomes of the entry. MeshError leaves the entry to be taken over later."""
        ...


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How a pool works."""

    concurrency: int
    """Pieces of work at a time, at least 1."""
    takeover_seconds: float
    """An entry whose worker gave no sign for so long goes to another."""
    drain_seconds: float
    """What work in hand gets to finish once the pool is told to stop."""

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.takeover_seconds <= 0 or self.drain_seconds < 0:
            raise ValueError(f"pool options make no sense: {self}")


class PoolStatistics(NamedTuple):
    """A snapshot of a pool."""

    working: int
    """Entries in hand."""
    finished: int
    """Entries done, delayed or given up since the start."""
    lost: int
    """Entries that another pool took over while we worked on them."""


class WorkerPool:
    """Works a queue off until cancelled; then takes nothing new, lets work in hand finish, and leaves the rest.

    Args:
        queue: where work comes from.
        worker: does it.
        consumer: this pool's name in the queue's group; unique among live processes.
        options: how many at a time, and how patiently.
        clock: paces upkeep.
        log: hears what goes wrong.
    """

    def __init__(
        self, queue: StreamQueue, worker: Worker, consumer: str, options: PoolOptions, clock: Clock, log: Logger
    ) -> None:
        self._queue: Final = queue
        self._worker: Final = worker
        self._consumer: Final = consumer
        self._options: Final = options
        self._clock: Final = clock
        self._log: Final = log
        self._working: Final[dict[bytes, asyncio.Task[None]]] = {}
        self._free: Final = asyncio.Semaphore(options.concurrency)
        self._finished = 0
        self._lost = 0

    def __repr__(self) -> str:
        return f"WorkerPool({self._queue!r}, {self.statistics()})"

    def statistics(self) -> PoolStatistics:
        """What the pool is doing."""
        return PoolStatistics(len(self._working), self._finished, self._lost)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as hands, self._drained_on_cancel(), asyncio.TaskGroup() as loops:
                loops.create_task(self._take(hands))
                loops.create_task(self._keep_alive())
                loops.create_task(self._keep_up(hands))
        finally:
            # What is still ours can be claimed at once; if Redis is away, it can be after takeover_seconds.
            try:
                async with asyncio.timeout(1.0):
                    await self._queue.leave(self._consumer)
            except (MeshError, TimeoutError) as error:
                self._log.warning("pool.leave_failed", error=str(error))

    @asynccontextmanager
    async def _drained_on_cancel(self) -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            if self._working:
                await asyncio.wait(list(self._working.values()), timeout=self._options.drain_seconds)
            raise

    async def _take(self, hands: asyncio.TaskGroup) -> None:
        while True:
            await self._free.acquire()
            entries: list[Entry] = []
            try:
                entries = await self._queue.read(self._consumer, 1, _BLOCK_SECONDS)
            except MeshError as error:
                self._log.warning("pool.read_failed", reason=error.reason.name)
                await self._clock.sleep(_AFTER_FAILURE_SECONDS)
            finally:
                if not entries:
                    self._free.release()
            for entry in entries:
                self._start(hands, entry)

    async def _keep_alive(self) -> None:
        while True:
            await self._clock.sleep(self._options.takeover_seconds / _HEARTBEATS_PER_TAKEOVER)
            try:
                lost = await self._queue.heartbeat(self._consumer, list(self._working))
            except MeshError as error:
                self._log.warning("pool.heartbeat_failed", reason=error.reason.name)
                continue
            for entry_id in lost:
                # It may also have been finished between the question and the answer.
                if (task := self._working.get(entry_id)) is not None:
                    self._lost += 1
                    task.cancel()

    async def _keep_up(self, hands: asyncio.TaskGroup) -> None:
        while True:
            try:
                await self._queue.promote_due()
                await self._claim(hands)
            except MeshError as error:
                self._log.warning("pool.upkeep_failed", reason=error.reason.name)
            await self._clock.sleep(_UPKEEP_SECONDS)

    async def _claim(self, hands: asyncio.TaskGroup) -> None:
        while not self._free.locked():
            await self._free.acquire()
            claimed: list[Entry] = []
            try:
                claimed = await self._queue.claim_idle(
                    self._consumer, self._options.takeover_seconds, 1, working=list(self._working)
                )
            finally:
                if not claimed:
                    self._free.release()
            if not claimed:
                return
            for entry in claimed:
                self._log.info("pool.took_over", entry=entry.id.decode(), deliveries=entry.deliveries)
                self._start(hands, entry)

    def _start(self, hands: asyncio.TaskGroup, entry: Entry) -> None:
        self._working[entry.id] = hands.create_task(self._handle(entry))

    async def _handle(self, entry: Entry) -> None:
        try:
            await self._settle(entry, await self._worker.work(entry))
            self._finished += 1
        except MeshError as error:
            # Still pending, so after takeover_seconds somebody works on it again.
            self._log.warning("pool.work_failed", entry=entry.id.decode(), reason=error.reason.name)
        finally:
            self._working.pop(entry.id, None)
            self._free.release()

    async def _settle(self, entry: Entry, disposition: Disposition) -> None:
        match disposition:
            case Done():
                await self._queue.ack(entry.id)
            case Retry(seconds):
                await self._queue.delay(entry, seconds)
            case Dead(reason):
                await self._queue.dead_letter(entry, reason)
