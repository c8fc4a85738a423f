"""What the cache needs from outside. Adapters implement these; tests bring fakes that subclass them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.semantic_cache.entry import Entry
from services.semantic_cache.scope import Key
from services.semantic_cache.vectors import Member, Vector


@dataclass(frozen=True, slots=True)
class News:
    """Members that were put into a scope since a cursor, oldest first."""

    members: tuple[Member, ...]
    cursor: int
    """Where the next reading goes on."""
    more: bool
    """Whether there are further ones already."""


class EntryStore(Protocol):
    """Entries, shared by all replicas. All calls raise STORE_UNAVAILABLE if the store is away or full."""

    async def get(self, key: Key) -> Entry | None:
        """The entry at `key`, if it is there; it may have expired by our clock."""
        ...

    async def get_with_news(self, key: Key, cursor: int) -> tuple[Entry | None, News]:
        """`get`, and in the same step what came into the scope after `cursor`."""
        ...

    async def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        """The entries at `keys` (of one tenant), in their order."""
        ...

    async def put(self, key: Key, entry: Entry, ttl: float) -> None:
        """Keep an entry for `ttl` seconds, found by equal text."""
        ...

    async def put_if_absent(self, key: Key, entry: Entry, ttl: float) -> None:
        """`put`, unless an entry is kept there already."""
        ...

    async def put_with_vector(self, key: Key, entry: Entry, vector: Vector, ttl: float) -> None:
        """Keep an entry for `ttl` seconds, found by equal text and by meaning, in one step."""
        ...

    async def attach(self, key: Key, member: Member, ttl: float) -> bool:
        """Let an entry that is kept be found by meaning; False if it is no longer kept."""
        ...


Counts = Mapping[str, int]
"""Sums by counter name."""


class TallyStore(Protocol):
    """Counters of tenants, shared by all replicas. All calls raise STORE_UNAVAILABLE if the store is away."""

    async def add(self, tenant_id: str, counts: Counts) -> None:
        """Add to a tenant's counters."""
        ...

    async def read(self, tenant_id: str) -> Counts:
        """A tenant's counters; those never counted are missing."""
        ...


class Embedded(NamedTuple):
    """A text's embedding."""

    vector: Vector
    """Of length 1."""
    whole: bool
    """Whether the model read all of the text. If not, texts that differ only in what was cut off look the same."""


class EmbeddingModel(Protocol):
    """Turns texts into vectors; slow, and called from a thread of its own."""

    @property
    def name(self) -> str:
        """The model's id. Vectors of different models cannot be compared."""
        ...

    @property
    def dimension(self) -> int:
        """Components of its vectors."""
        ...

    def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """One embedding per text, in their order.

        Raises:
            MeshError: INTERNAL if the model failed.
        """
        ...


class Embedder(Protocol):
    """Embeddings for those who wait for them without blocking."""

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """One embedding per text, in their order.

        Raises:
            MeshError: OVERLOADED if too many wait, PEER_UNAVAILABLE while the model is not loaded.
        """
        ...
