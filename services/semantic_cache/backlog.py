"""Work that a request leaves behind: what need not be done before its answer."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from libs.core.clock import Clock
from libs.core.errors import MeshError
from services.semantic_cache.entry import Kept
from services.semantic_cache.flight import Flights
from services.semantic_cache.ports import EntryStore
from services.semantic_cache.scope import Key
from services.semantic_cache.semantic import SemanticSearch
from services.semantic_cache.settling import Settle, Settler

# Redis refuses a time to live of 0, and an alias this close to its end is not worth a write.
_SHORTEST_TTL: Final = 0.001


@dataclass(frozen=True, slots=True)
class LeaveAlias:
    """What was found by meaning is to be found under this text too, for the rest of its life; ends the lease."""

    key: Key
    kept: Kept
    user_id: str
    lease_token: bytes


@dataclass(frozen=True, slots=True)
class Release:
    """A lease whose caller is gone."""

    key: Key
    lease_token: bytes


@dataclass(frozen=True, slots=True)
class Refresh:
    """A scope of which there is more to read."""

    key: Key


Task: TypeAlias = LeaveAlias | Release | Refresh | Settle


class BacklogStatistics(NamedTuple):
    """A snapshot of the backlog."""

    waiting: int
    done: int
    dropped: int
    """Tasks that came while the backlog was full, or whose store or model failed."""


@dataclass(frozen=True, slots=True)
class _Queue:
    tasks: deque[Task] = field(default_factory=deque)
    arrival: asyncio.Event = field(default_factory=asyncio.Event)


class Backlog:
    """Two bounded queues with a worker each: leases, for which somebody may wait, and all that has time.

    Losing a task costs a later miss, a lesson, or those who wait the rest of a lease; nothing else.

    Args:
        store: where entries are kept.
        flights: told when a lease ends.
        semantic: reads scopes; None: there are none.
        settler: finds out what a fresh answer teaches; None: nobody does.
        clock: tells what has expired.
        capacity: tasks that may wait in each queue.
    """

    def __init__(
        self,
        store: EntryStore,
        flights: Flights,
        semantic: SemanticSearch | None,
        settler: Settler | None,
        clock: Clock,
        capacity: int,
    ) -> None:
        self._store: Final = store
        self._flights: Final = flights
        self._semantic: Final = semantic
        self._settler: Final = settler
        self._clock: Final = clock
        self._capacity: Final = capacity
        self._urgent: Final = _Queue()
        self._patient: Final = _Queue()
        self._done = self._dropped = 0

    def offer(self, task: Task) -> bool:
        """Take `task` on; False if it had to be dropped."""
        queue = self._urgent if isinstance(task, LeaveAlias | Release) else self._patient
        if len(queue.tasks) >= self._capacity:
            self._dropped += 1
            return False
        queue.tasks.append(task)
        queue.arrival.set()
        return True

    async def run(self) -> None:
        """Work until cancelled; what waits then is lost."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(self._urgent))
            group.create_task(self._serve(self._patient))

    async def work(self) -> None:
        """Do all that waits now."""
        await self._clear(self._urgent)
        await self._clear(self._patient)

    def statistics(self) -> BacklogStatistics:
        """What happened so far."""
        return BacklogStatistics(len(self._urgent.tasks) + len(self._patient.tasks), self._done, self._dropped)

    async def _serve(self, queue: _Queue) -> None:
        while True:
            await queue.arrival.wait()
            queue.arrival.clear()
            await self._clear(queue)

    async def _clear(self, queue: _Queue) -> None:
        while queue.tasks:
            task = queue.tasks.popleft()
            try:
                await self._do(task)
                self._done += 1
            except MeshError:
                self._dropped += 1

    async def _do(self, task: Task) -> None:
        match task:
            case LeaveAlias():
                await self._leave_alias(task)
            case Release():
                await self._store.release(task.key, task.lease_token, open_seconds=0.0)
                self._flights.look(task.key)
            case Refresh() if self._semantic is not None:
                await self._semantic.catch_up(task.key)
            case Settle() if self._settler is not None:
                await self._settler.settle(task)

    async def _leave_alias(self, task: LeaveAlias) -> None:
        alias = task.kept.alias
        ttl = task.kept.entry.expires_at - self._clock.time()
        try:
            if alias is not None and ttl >= _SHORTEST_TTL:
                await self._store.put_alias(task.key, alias, ttl, task.user_id)
        finally:
            if task.lease_token:
                await self._store.release(task.key, task.lease_token, open_seconds=0.0)

    def __repr__(self) -> str:
        return f"Backlog({self.statistics()})"
