"""A pool of workers over one queue: bounded concurrency, heartbeats, takeover, retries, drain."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from libs.core.clock import Clock
from libs.core.errors import MeshError
from libs.store.entries import Entry
from libs.telemetry.logs import Logger

_BLOCK_SECONDS: Final = 1.0
_UPKEEP_SECONDS: Final = 1.0
_UPKEEPS_PER_PRUNING: Final = 60
_FORGOTTEN_SECONDS: Final = 3600.0
_AFTER_FAILURE_SECONDS: Final = 1.0
_HEARTBEATS_PER_TAKEOVER: Final = 3
_LEAVE_SECONDS: Final = 1.0


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
        """Do it and say what becomes of the entry. Any error leaves the entry to be taken over later."""
        ...


class WorkQueue(Protocol):
    """What a pool needs of a queue; `libs.store.streams.StreamQueue` documents each."""

    async def read(self, consumer: str, count: int = 1, block_seconds: float = 0.0) -> list[Entry]:
        """New entries."""
        ...

    async def claim_idle(
        self, consumer: str, min_idle_seconds: float, count: int = 10, *, working: Collection[bytes] = ()
    ) -> list[Entry]:
        """Entries whose consumer gave no sign of life."""
        ...

    async def heartbeat(self, consumer: str, entry_ids: Sequence[bytes]) -> list[bytes]:
        """A sign of life; the entries that were lost."""
        ...

    async def ack(self, entry_id: bytes) -> bool:
        """Done."""
        ...

    async def delay(self, entry: Entry, seconds: float) -> bool:
        """Again, later."""
        ...

    async def dead_letter(self, entry: Entry, reason: str) -> bytes | None:
        """Given up."""
        ...

    async def promote_due(self, limit: int = 100) -> int:
        """Puts back what was delayed and is due."""
        ...

    async def prune_consumers(self, idle_seconds: float) -> int:
        """Forgets consumers that are gone."""
        ...

    async def leave(self, consumer: str) -> int:
        """Hands back what the consumer holds."""
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
        self, queue: WorkQueue, worker: Worker, consumer: str, options: PoolOptions, clock: Clock, log: Logger
    ) -> None:
        self._queue: Final = queue
        self._worker: Final = worker
        self._consumer: Final = consumer
        self._options: Final = options
        self._clock: Final = clock
        self._log: Final = log
        self._working: Final[dict[bytes, asyncio.Task[None]]] = {}
        self._free: Final = asyncio.Semaphore(options.concurrency)
        self._next_claim = clock.monotonic()
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
            async with asyncio.TaskGroup() as upkeep:
                # Beyond the drain: work that gets to finish must not be taken over meanwhile.
                loops = [upkeep.create_task(self._keep_alive()), upkeep.create_task(self._keep_up())]
                try:
                    async with asyncio.TaskGroup() as hands, self._drained_on_cancel():
                        await self._take(hands)
                finally:
                    for loop in loops:
                        loop.cancel()
        finally:
            # What is still ours can be claimed at once; if Redis is away, it can be after takeover_seconds.
            try:
                async with asyncio.timeout(_LEAVE_SECONDS):
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
            entry: Entry | None = None
            try:
                entry = await self._next()
            except MeshError as error:
                self._log.warning("pool.read_failed", reason=error.reason.name)
                # All who live look dead after an outage, so their heartbeats go before our claims.
                self._next_claim = self._clock.monotonic() + self._options.takeover_seconds / 2
                await self._clock.sleep(_AFTER_FAILURE_SECONDS)
            finally:
                if entry is None:
                    self._free.release()
            _raise_if_cancelled()
            if entry is not None:
                self._working[entry.id] = hands.create_task(self._handle(entry))

    async def _next(self) -> Entry | None:
        """What a free hand should do: first what others left behind, looked for now and then, else what is new."""
        now = self._clock.monotonic()
        if now >= self._next_claim:
            claimed = await self._queue.claim_idle(
                self._consumer, self._options.takeover_seconds, 1, working=list(self._working)
            )
            for entry in claimed:
                # There may be more, so the next hand looks at once.
                self._log.info("pool.took_over", entry=entry.id.decode(), deliveries=entry.deliveries)
                return entry
            self._next_claim = now + _UPKEEP_SECONDS
        for entry in await self._queue.read(self._consumer, 1, _BLOCK_SECONDS):
            return entry
        return None

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

    async def _keep_up(self) -> None:
        passes = 0
        while True:
            try:
                await self._queue.promote_due()
                if passes % _UPKEEPS_PER_PRUNING == 0:
                    await self._queue.prune_consumers(_FORGOTTEN_SECONDS + self._options.takeover_seconds)
            except MeshError as error:
                self._log.warning("pool.upkeep_failed", reason=error.reason.name)
            passes += 1
            await self._clock.sleep(_UPKEEP_SECONDS)

    async def _handle(self, entry: Entry) -> None:
        try:
            await self._settle(entry, await self._worker.work(entry))
            self._finished += 1
        except MeshError as error:
            # Still pending, so after takeover_seconds somebody works on it again.
            self._log.warning("pool.work_failed", entry=entry.id.decode(), reason=error.reason.name)
        except Exception as error:  # noqa: BLE001 - a boundary: one piece of work must not end all the others
            # A bug. Still pending like the above; its deliveries count up until the worker gives it up.
            self._log.error("pool.work_crashed", entry=entry.id.decode(), exc_info=error)
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


def _raise_if_cancelled() -> None:
    # redis-py sends with asyncio.wait_for, which in Python 3.11 swallows a cancellation that comes just when its wait
    # ends (gh-86296); a pool that overheard being told to stop would never do so.
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
