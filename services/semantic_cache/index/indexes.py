"""The indexes of all scopes that this replica has to do with, inside one bound."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.semantic_cache.index.member import Member
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.index.vector_index import VectorIndex

_FAILURES: Final = (MemoryError, RuntimeError, ValueError)
"""What usearch raises, and an executor that was shut down."""


class ScopeName(NamedTuple):
    """Which scope."""

    tenant_id: str
    scope: bytes
    """`Scope.digest()`."""


@dataclass(slots=True)
class ScopeIndex:
    """One scope's vectors, and how far this replica has followed what happened to them."""

    vectors: VectorIndex
    cursor: str = ""
    """Of the last event that was read from the feed; empty before the first reading."""
    refreshed_at: float = float("-inf")
    """When, on the monotonic clock."""
    saved: tuple[int, str] | None = None
    """The vectors' version and the cursor in the snapshot that was written last."""

    @property
    def mark(self) -> tuple[int, str]:
        """What `saved` is as long as nothing happens."""
        return self.vectors.version, self.cursor


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """How much is held in memory; of all scopes together the least recently used go first."""

    scopes: int = 10_000
    vectors: int = 250_000
    nbytes: int = 1 << 30
    """At 384 dimensions a member takes some 1.1 KB, in a scope with a graph 2 KB; a graph is there twice while it is
    made anew."""

    def __post_init__(self) -> None:
        for name in ("scopes", "vectors", "nbytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class IndexStatistics(NamedTuple):
    """A snapshot of the indexes."""

    scopes: int
    vectors: int
    nbytes: int
    evicted_scopes: int
    """Scopes that left because the space was needed; they are read again when they are asked for."""
    due_scopes: int
    """Scopes whose graph is being worked on."""
    steps: int
    """How much of that work was done."""
    failed_steps: int


class Indexes:
    """Indexes by scope, made when they are first asked for. Members come and go through here, so that they are counted.

    Args:
        shape: of every index.
        limits: of all of them.
        executor: does the work on graphs, one step at a time; the owner shuts it down.
    """

    def __init__(self, shape: Shape, limits: IndexLimits, executor: Executor) -> None:
        self._shape: Final = shape
        self._limits: Final = limits
        self._executor: Final = executor
        self._scopes: OrderedDict[ScopeName, ScopeIndex] = OrderedDict()
        self._sizes: dict[ScopeName, tuple[int, int]] = {}
        self._due: OrderedDict[ScopeName, None] = OrderedDict()
        self._wake: Final = asyncio.Event()
        self._vectors = self._nbytes = self._evicted = self._steps = self._failed = 0

    @property
    def shape(self) -> Shape:
        """Of every index."""
        return self._shape

    def peek(self, tenant_id: str, scope: bytes) -> ScopeIndex | None:
        """A scope's index if it is here."""
        return self._scopes.get(ScopeName(tenant_id, scope))

    def find(self, tenant_id: str, scope: bytes) -> ScopeIndex | None:
        """A scope's index if it is here; it counts as used."""
        name = ScopeName(tenant_id, scope)
        index = self._scopes.get(name)
        if index is not None:
            self._scopes.move_to_end(name)
        return index

    def of(self, tenant_id: str, scope: bytes) -> ScopeIndex:
        """A scope's index, an empty one if it was not here."""
        index = self.find(tenant_id, scope)
        if index is None:
            index = ScopeIndex(VectorIndex(self._shape))
            self.adopt(tenant_id, scope, index)
        return index

    def adopt(self, tenant_id: str, scope: bytes, index: ScopeIndex) -> None:
        """Hold an index that was made elsewhere, instead of what was held of its scope."""
        self.drop(tenant_id, scope)
        name = ScopeName(tenant_id, scope)
        self._scopes[name] = index
        self._changed(name, index)

    def add(self, tenant_id: str, scope: bytes, member: Member, now: float) -> None:
        """Put a member into a scope; see `VectorIndex.add`."""
        index = self.of(tenant_id, scope)
        index.vectors.add(member, now)
        self._changed(ScopeName(tenant_id, scope), index)

    def remove(self, tenant_id: str, scope: bytes, entry: bytes) -> bool:
        """Take an entry out of a scope; whether it was in."""
        index = self.find(tenant_id, scope)
        if index is None or not index.vectors.remove(entry):
            return False
        self._changed(ScopeName(tenant_id, scope), index)
        return True

    def drop(self, tenant_id: str, scope: bytes) -> int:
        """Forget a scope; how many members it had here."""
        name = ScopeName(tenant_id, scope)
        index = self._scopes.pop(name, None)
        self._due.pop(name, None)
        members, nbytes = self._sizes.pop(name, (0, 0))
        self._vectors -= members
        self._nbytes -= nbytes
        return len(index.vectors) if index is not None else 0

    def count(self, tenant_id: str) -> int:
        """How many members of a tenant are here."""
        return sum(members for name, (members, _) in self._sizes.items() if name.tenant_id == tenant_id)

    def held(self) -> Iterator[tuple[ScopeName, ScopeIndex]]:
        """All scopes, the least recently used first, as they are now."""
        yield from list(self._scopes.items())

    def statistics(self) -> IndexStatistics:
        """What is held now."""
        return IndexStatistics(
            len(self._scopes), self._vectors, self._nbytes, self._evicted, len(self._due), self._steps, self._failed
        )

    async def run(self) -> None:
        """Work on the graphs, scope by scope in turn, until cancelled."""
        while True:
            await self._wake.wait()
            if self._due:
                await self._work(next(iter(self._due)))
            else:
                self._wake.clear()

    async def _work(self, name: ScopeName) -> None:
        self._due.move_to_end(name)
        index = self._scopes[name]
        step = index.vectors.next_step()
        if step is None:
            del self._due[name]
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, step.run)
        except _FAILURES:
            # It is begun anew with the next member, not at once: what failed would most likely fail again.
            self._failed += 1
            index.vectors.abandon(step)
            self._due.pop(name, None)
            return
        self._steps += 1
        index.vectors.finish(step)
        if self._scopes.get(name) is index:
            self._changed(name, index)

    def _changed(self, name: ScopeName, index: ScopeIndex) -> None:
        size = len(index.vectors), index.vectors.nbytes
        before = self._sizes.get(name, (0, 0))
        self._sizes[name] = size
        self._vectors += size[0] - before[0]
        self._nbytes += size[1] - before[1]
        if index.vectors.due:
            self._due[name] = None
            self._wake.set()
        self._shrink()

    def _shrink(self) -> None:
        limits = self._limits
        # The one that was used last always stays: a single scope is bounded by its own capacity.
        while len(self._scopes) > 1 and (
            len(self._scopes) > limits.scopes or self._vectors > limits.vectors or self._nbytes > limits.nbytes
        ):
            self.drop(*next(iter(self._scopes)))
            self._evicted += 1

    def __repr__(self) -> str:
        return f"Indexes({self.statistics()})"
