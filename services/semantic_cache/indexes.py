"""The vector indexes of all scopes that this replica has to do with, inside one bound."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from services.semantic_cache.scope import Key
from services.semantic_cache.vectors import Member, VectorIndex


@dataclass(slots=True)
class ScopeIndex:
    """One scope's vectors, and how far this replica has read what others put there."""

    vectors: VectorIndex
    cursor: int = 0
    """Sequence number of the last member read from the store."""
    refreshed_at: float = field(default=float("-inf"))
    """When, on the monotonic clock."""


class IndexStatistics(NamedTuple):
    """A snapshot of the indexes."""

    scopes: int
    vectors: int
    evicted_scopes: int
    """Scopes dropped from memory because the space was needed; they are read again when they are asked for."""


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """How much is held in memory."""

    per_scope: int = 2_000
    """Vectors of one scope; the oldest go first."""
    scopes: int = 10_000
    """Scopes; the least recently used go first."""
    vectors: int = 100_000
    """Vectors of all scopes together; at 384 dimensions each takes 1.5 KB."""


class Indexes:
    """Indexes by scope, made when they are first asked for."""

    def __init__(self, limits: IndexLimits) -> None:
        self._limits = limits
        self._scopes: OrderedDict[tuple[str, bytes], ScopeIndex] = OrderedDict()
        self._vectors = 0
        self._evicted = 0

    def of(self, key: Key) -> ScopeIndex:
        """The index of the scope that `key` lies in."""
        name = (key.tenant_id, key.scope)
        index = self._scopes.get(name)
        if index is None:
            index = self._scopes[name] = ScopeIndex(VectorIndex(self._limits.per_scope))
            self._shrink()
        else:
            self._scopes.move_to_end(name)
        return index

    def add(self, key: Key, member: Member) -> None:
        """Put a member into the scope that `key` lies in."""
        vectors = self.of(key).vectors
        before = len(vectors)
        vectors.add(member)
        self._vectors += len(vectors) - before
        self._shrink()

    def remove(self, key: Key) -> None:
        """Take the entry at `key` out."""
        vectors = self.of(key).vectors
        before = len(vectors)
        vectors.remove(key.entry)
        self._vectors += len(vectors) - before

    def count(self, tenant_id: str) -> int:
        """How many vectors of a tenant are held."""
        return sum(len(index.vectors) for (tenant, _), index in self._scopes.items() if tenant == tenant_id)

    def statistics(self) -> IndexStatistics:
        """What is held now."""
        return IndexStatistics(len(self._scopes), self._vectors, self._evicted)

    def _shrink(self) -> None:
        limits = self._limits
        # The one just asked for always stays.
        while len(self._scopes) > 1 and (len(self._scopes) > limits.scopes or self._vectors > limits.vectors):
            _, index = self._scopes.popitem(last=False)
            self._vectors -= len(index.vectors)
            self._evicted += 1

    def __repr__(self) -> str:
        return f"Indexes({self.statistics()})"
