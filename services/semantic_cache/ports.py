"""What the cache needs from outside. Adapters implement these; tests bring fakes that subclass them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from services.semantic_cache.entry import Alias, Entry, Kept
from services.semantic_cache.index.member import Member, Vector
from services.semantic_cache.scope import Key


class Standing(Enum):
    """How a lease stands for one who asks."""

    NONE = "none"
    """Not asked for, or not needed since the answer is there."""
    GRANTED = "granted"
    HELD = "held"
    """By somebody else: wait."""
    OPEN = "open"
    """There will be no answer for others: everyone makes their own."""


class Opened(NamedTuple):
    """What the store says of a question, in one step."""

    kept: Kept | None
    """Alive: neither invalidated nor expired by the store's clock."""
    asked_at: int
    """The store's time, in microseconds; what is made from now on is made after everything invalidated so far."""
    standing: Standing = Standing.NONE
    lease_token: bytes = b""
    """16 bytes; set if GRANTED."""
    held_seconds: float = 0.0
    """If HELD: until the lease ends, unless it is renewed."""
    barred: int = 0
    """When somebody last found an answer wrong for this very text, or 0: none that was asked for before is for it."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to keep, and all that is done in the same step."""

    entry: Entry
    ttl: float
    """Seconds; positive."""
    user_id: str
    """Who put it: `EraseUser` finds it by that."""
    member: Member | None = None
    """Lets it be found by meaning."""
    lease_token: bytes = b""
    """The lease that ends with it; empty: none."""


@dataclass(frozen=True, slots=True)
class News:
    """What happened to a scope's members since a cursor, oldest first."""

    added: tuple[Member, ...]
    removed: tuple[bytes, ...]
    """Entries; they are not in `added`."""
    cursor: str
    """Where the next reading goes on."""
    more: bool = False
    """Whether there is more already."""
    restart: bool = False
    """What was known before is to be forgotten: too much was missed, and this begins to tell everything there is."""


class EntryStore(Protocol):
    """Entries, leases and members, shared by all replicas. All calls raise STORE_UNAVAILABLE if it is away or full."""

    async def open(
        self, key: Key, lease_seconds: float = 0.0, *, past_alias: bool = False, nonce: bytes = b""
    ) -> Opened:
        """What is kept at `key`; if nothing is and `lease_seconds` is positive, take or look at the lease.

        A full store gives out what it has, and no lease: OPEN.

        Args:
            key: the question.
            lease_seconds: how long a lease lasts; 0 asks for none.
            past_alias: an alias counts as if nothing were kept; it stays.
            nonce: 8 bytes that name the caller, and end the token of its lease: who gets no reply can release it by
                `bytes(8) + nonce`, or ask again. Empty: drawn by the store.

        Raises:
            ValueError: a nonce of another length.
        """
        ...

    async def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        """The live entries at `keys` (of one tenant), in their order; None for what is not, or is an alias."""
        ...

    async def put(self, key: Key, new: NewEntry) -> bool:
        """Keep an entry; an `asked_at` of 0 stands for now, by the store's clock.

        False, and nothing is kept, if something it is marked with was invalidated after its `asked_at`, or a newer
        answer (by `asked_at`) is kept already; its lease ends all the same.
        """
        ...

    async def put_alias(self, key: Key, alias: Alias, ttl: float, user_id: str) -> None:
        """Keep an alias, unless something is kept there; ends no lease."""
        ...

    async def attach(self, key: Key, member: Member, ttl: float) -> bool:
        """Let an entry that is kept be found by meaning; False if it is no longer kept."""
        ...

    async def renew(self, key: Key, lease_token: bytes, lease_seconds: float) -> bool:
        """Prolong a lease; False if it is not held by that token any more."""
        ...

    async def release(self, key: Key, lease_token: bytes, open_seconds: float) -> None:
        """End a lease, if it is held by that token. With `open_seconds` nobody gets one for as long: OPEN.

        Of the token only the last 8 bytes count, which name who holds the lease.
        """
        ...

    async def news(self, key: Key, cursor: str) -> News:
        """What happened to the members of the scope that `key` lies in; cursor "" begins at the beginning."""
        ...

    async def remove(self, keys: Sequence[Key]) -> int:
        """Delete entries (of one tenant) and their members; how many there were."""
        ...

    async def put_by(self, tenant_id: str, user_id: str) -> list[Key]:
        """Keys of all that a user put, aliases included."""
        ...


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that was invalidated."""

    tenant_id: str
    mark: bytes
    """A prefix, a tag, an entry's own digest; empty for everything of the tenant."""
    at: int
    """Microseconds of the store's clock, later than all it had given out: what was asked before is dead."""


class InvalidationStore(Protocol):
    """What was invalidated, for all replicas. All calls raise STORE_UNAVAILABLE if the store is away."""

    async def invalidate(self, tenant_id: str, mark: bytes) -> None:
        """From now on the store gives out nothing with `mark` that was asked before; and announce it."""
        ...

    async def announced(self, cursor: str) -> tuple[list[Announcement], str, bool]:
        """What was announced since the cursor ("" is now), the next cursor, and whether nothing was missed."""
        ...


class OutcomeLog(Protocol):
    """What turned out, per tenant and embedding space, the latest some thousand. Raises STORE_UNAVAILABLE."""

    async def append(self, tenant_id: str, request_id: str, outcome: bytes) -> None:
        """Add one; a `request_id` that was seen in the last hour adds nothing."""
        ...

    async def since(self, tenant_id: str, cursor: str) -> tuple[list[bytes], str]:
        """Those after the cursor ("" is the beginning), oldest first, and the next cursor."""
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

    def forget(self) -> None:
        """Drop what is remembered of recent texts."""
        ...
