"""Work that a request leaves behind: embeddings of fresh entries, and aliases of what was found by meaning."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from libs.core.clock import Clock
from libs.core.errors import MeshError
from services.semantic_cache.entry import Entry
from services.semantic_cache.indexes import Indexes
from services.semantic_cache.ports import Embedder, EntryStore
from services.semantic_cache.scope import Key
from services.semantic_cache.vectors import Member

_BATCH: Final = 16
# Redis refuses a time to live of 0, and an entry this close to its end is not worth a write.
_SHORTEST_TTL: Final = 0.001


@dataclass(frozen=True, slots=True)
class Enrichment:
    """An entry that was kept without a vector and shall get one."""

    key: Key
    text: str
    expires_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Alias:
    """An entry to be found under another text too, for the rest of its life."""

    key: Key
    entry: Entry


Task: TypeAlias = Enrichment | Alias


class BacklogStatistics(NamedTuple):
    """A snapshot of the backlog."""

    waiting: int
    done: int
    dropped: int
    """Tasks that came while the backlog was full, or whose store or model failed."""


class Backlog:
    """A bounded queue with one worker. Losing a task costs a later miss, nothing else.

    Args:
        store: where entries are kept.
        indexes: where vectors become searchable on this replica.
        embedder: makes vectors; None: enrichments are not taken.
        clock: tells what has expired.
        capacity: tasks that may wait.
    """

    def __init__(
        self, store: EntryStore, indexes: Indexes, embedder: Embedder | None, clock: Clock, capacity: int
    ) -> None:
        self._store: Final = store
        self._indexes: Final = indexes
        self._embedder: Final = embedder
        self._clock: Final = clock
        self._capacity: Final = capacity
        self._tasks: deque[Task] = deque()
        self._arrival: Final = asyncio.Event()
        self._done = self._dropped = 0

    def offer(self, task: Task) -> bool:
        """Take `task` on; False if it had to be dropped."""
        if len(self._tasks) >= self._capacity:
            self._dropped += 1
            return False
        self._tasks.append(task)
        self._arrival.set()
        return True

    async def run(self) -> None:
        """Work until cancelled; what waits then is lost."""
        while True:
            await self._arrival.wait()
            await self.work()
            self._arrival.clear()

    async def work(self) -> None:
        """Do all that waits now."""
        while self._tasks:
            batch = [self._tasks.popleft() for _ in range(min(_BATCH, len(self._tasks)))]
            await self._alias([task for task in batch if isinstance(task, Alias)])
            await self._enrich([task for task in batch if isinstance(task, Enrichment)])

    def statistics(self) -> BacklogStatistics:
        """What happened so far."""
        return BacklogStatistics(len(self._tasks), self._done, self._dropped)

    async def _alias(self, tasks: Sequence[Alias]) -> None:
        for task in tasks:
            ttl = task.entry.expires_at - self._clock.time()
            if ttl < _SHORTEST_TTL:
                continue
            try:
                await self._store.put_if_absent(task.key, task.entry, ttl)
                self._done += 1
            except MeshError:
                self._dropped += 1

    async def _enrich(self, tasks: Sequence[Enrichment]) -> None:
        if not tasks:
            return
        if self._embedder is None:
            self._dropped += len(tasks)
            return
        try:
            embeddings = await self._embedder.embed([task.text for task in tasks])
            for task, embedded in zip(tasks, embeddings, strict=True):
                if embedded.whole:
                    await self._attach(task, Member(task.key.entry, embedded.vector, task.expires_at))
                self._done += 1
        except MeshError:
            self._dropped += len(tasks)

    async def _attach(self, task: Enrichment, member: Member) -> None:
        ttl = task.expires_at - self._clock.time()
        if ttl >= _SHORTEST_TTL and await self._store.attach(task.key, member, ttl):
            self._indexes.add(task.key, member)

    def __repr__(self) -> str:
        return f"Backlog({self.statistics()})"
