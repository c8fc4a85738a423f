"""Entries in Redis: a string each, per scope the members that can be found by meaning, and leases on making more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from libs.core.rng import Rng
from libs.store.connection import Store
from libs.store.replies import Argument, Reply, array, blob, blobs, integer, optional_blob
from libs.store.script import Script, load
from services.semantic_cache.adapters import codec, keys
from services.semantic_cache.entry import Alias, Entry, Kept
from services.semantic_cache.index.member import Member
from services.semantic_cache.ports import EntryStore, NewEntry, News, Opened, Standing
from services.semantic_cache.scope import Key

_SCOPE_BYTES: Final = 20
_NONCE_BYTES: Final = 8
_REMOVED_AT_ONCE: Final = 100
_OWNED_AT_ONCE: Final = 250


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What vectors belong together: those of one embedding model."""

    name: str
    """Short and fit for a key; another model's vectors are kept apart."""
    dimension: int
    capacity: int
    """Members of one scope; those that expire first go."""


class RedisEntryStore(EntryStore):
    """Implements the port. One round trip per call, but for `remove` and `put_by` of very many.

    What is invalidated, of another epoch, or expired by Redis's clock is dead: `tenant.lua` holds the rules.

    Args:
        store: the Redis, which may evict: what it loses is a miss.
        space: where vectors go.
        rng: tells the lease tokens of different callers apart.
        news: about how many members one reading brings, 1 to 2,000 (they are operands of one command in a script).
    """

    def __init__(self, store: Store, space: VectorSpace, rng: Rng, news: int = 256) -> None:
        self._space: Final = space
        self._rng: Final = rng
        self._news: Final = news
        self._scripts: Final = _Scripts(store)

    async def open(
        self, key: Key, lease_seconds: float = 0.0, *, past_alias: bool = False, nonce: bytes = b""
    ) -> Opened:
        """What is kept at `key`; if nothing is and `lease_seconds` is positive, take or look at the lease."""
        caller = nonce or self._rng.getrandbits(8 * _NONCE_BYTES).to_bytes(_NONCE_BYTES, "big")
        if len(caller) != _NONCE_BYTES:
            raise ValueError(f"a nonce has {_NONCE_BYTES} bytes, got {len(caller)}")
        lease_ms = _ms(lease_seconds) if lease_seconds > 0 else 0
        names = (keys.entry(key), keys.floors(key.tenant_id), keys.lease(key))
        answer = array(await self._scripts.open(names, (self._space.name, lease_ms, caller, int(past_alias))))
        entry, alias, asked_at, standing, token, held_ms, barred = answer
        return Opened(
            kept=_kept(optional_blob(entry), optional_blob(alias)),
            asked_at=integer(asked_at),
            standing=Standing(blob(standing).decode()),
            lease_token=blob(token),
            held_seconds=integer(held_ms) / 1000,
            barred=integer(barred),
        )

    async def get_many(self, keys_: Sequence[Key]) -> list[Entry | None]:
        """The live entries at `keys_` (of one tenant), in their order; None for what is not, or is an alias."""
        if not keys_:
            return []
        stored = array(await self._scripts.get_many(self._names(keys_), [key.entry for key in keys_]))
        return [_entry(optional_blob(reply)) for reply in stored]

    async def put(self, key: Key, new: NewEntry) -> bool:
        """Keep an entry, unless it is outdated."""
        names = (
            keys.entry(key),
            keys.floors(key.tenant_id),
            keys.lease(key),
            keys.owned(key.tenant_id, new.user_id),
            *keys.members(key, self._space.name),
        )
        member = b"" if new.member is None else codec.encode_member(new.member)
        args: tuple[Argument, ...] = (
            codec.encode_entry(new.entry),
            _ms(new.ttl),
            key.scope + key.entry,
            new.lease_token,
            member,
            new.entry.expires_at,
            self._space.capacity,
        )
        return integer(await self._scripts.put(names, args)) == 1

    async def put_alias(self, key: Key, alias: Alias, ttl: float, user_id: str) -> None:
        """Keep an alias, unless something is kept there, or its target is not."""
        names = (keys.entry(key), keys.floors(key.tenant_id), keys.owned(key.tenant_id, user_id))
        value = codec.encode_alias(alias, self._space.name)
        await self._scripts.put_alias(names, (value, _ms(ttl), key.scope + key.entry, self._space.name))

    async def attach(self, key: Key, member: Member, ttl: float) -> bool:
        """Let an entry that is kept be found by meaning; False if another answer (by its expiry) took its place."""
        names = (keys.entry(key), keys.floors(key.tenant_id), *keys.members(key, self._space.name))
        args: tuple[Argument, ...] = (
            key.entry,
            codec.encode_member(member),
            codec.encode_expiry(member.expires_at),
            member.expires_at,
            self._space.capacity,
            _ms(ttl),
        )
        return integer(await self._scripts.attach(names, args)) == 1

    async def renew(self, key: Key, lease_token: bytes, lease_seconds: float) -> bool:
        """Prolong a lease."""
        return integer(await self._scripts.renew([keys.lease(key)], (lease_token, _ms(lease_seconds)))) == 1

    async def release(self, key: Key, lease_token: bytes, open_seconds: float) -> None:
        """End a lease; the token's last 8 bytes tell whose it is."""
        await self._scripts.release([keys.lease(key)], (lease_token, _ms(open_seconds) if open_seconds > 0 else 0))

    async def news(self, key: Key, cursor: str) -> News:
        """What happened to the members of the scope that `key` lies in."""
        position, _, page = cursor.partition("/")
        members, _, feed = keys.members(key, self._space.name)
        names = (members, feed, keys.floors(key.tenant_id))
        answer = array(await self._scripts.news(names, (position, page, self._news)))
        at, next_page, restart, more, entries, values = answer
        added, removed = self._told(blobs(entries), array(values))
        return News(
            added=added,
            removed=removed,
            cursor=b"/".join(filter(None, (blob(at), blob(next_page)))).decode(),
            more=integer(more) == 1,
            restart=integer(restart) == 1,
        )

    async def remove(self, keys_: Sequence[Key]) -> int:
        """Delete entries and aliases (of one tenant), and their members in this store's embedding space."""
        count = 0
        for start in range(0, len(keys_), _REMOVED_AT_ONCE):
            some = keys_[start : start + _REMOVED_AT_ONCE]
            count += integer(await self._scripts.remove(self._names(some), [key.entry for key in some]))
        return count

    async def put_by(self, tenant_id: str, user_id: str) -> list[Key]:
        """Keys of all that a user put and that is still there."""
        found: set[bytes] = set()
        cursor = b"0"
        while True:
            args = (cursor, _OWNED_AT_ONCE, keys.entries(tenant_id))
            next_cursor, names = array(await self._scripts.put_by([keys.owned(tenant_id, user_id)], args))
            found.update(blobs(names))
            if (cursor := blob(next_cursor)) == b"0":
                break
        return [Key(tenant_id, name[:_SCOPE_BYTES], name[_SCOPE_BYTES:]) for name in sorted(found)]

    def _names(self, keys_: Sequence[Key]) -> list[str]:
        names = [keys.floors(keys_[0].tenant_id)]
        for key in keys_:
            names += (keys.entry(key), *keys.members(key, self._space.name))
        return names

    def _told(self, entries: Sequence[bytes], values: Sequence[Reply]) -> tuple[tuple[Member, ...], tuple[bytes, ...]]:
        added, removed = [], []
        for entry, value in zip(entries, values, strict=True):
            stored = optional_blob(value)
            member = None if stored is None else codec.decode_member(entry, stored, self._space.dimension)
            if member is None:
                removed.append(entry)
            else:
                added.append(member)
        return tuple(added), tuple(removed)


class _Scripts:
    """The store's scripts. All may be sent twice, so they survive a dropped connection."""

    def __init__(self, store: Store) -> None:
        def script(*names: str) -> Script:
            return Script(store, "".join([load(__package__, f"{name}.lua") for name in names]), idempotent=True)

        self.open: Final = script("tenant", "open")
        self.get_many: Final = script("tenant", "feed", "members", "get_many")
        self.put: Final = script("tenant", "owned", "feed", "members", "put")
        self.put_alias: Final = script("tenant", "owned", "put_alias")
        self.attach: Final = script("tenant", "feed", "members", "attach")
        self.renew: Final = script("renew")
        self.release: Final = script("release")
        self.news: Final = script("tenant", "feed", "members", "news")
        self.remove: Final = script("tenant", "feed", "members", "remove")
        self.put_by: Final = script("put_by")


def _entry(stored: bytes | None) -> Entry | None:
    return None if stored is None else codec.decode_entry(stored)


def _kept(stored: bytes | None, alias: bytes | None) -> Kept | None:
    entry = _entry(stored)
    if entry is None or alias is None:
        return None if entry is None else Kept(entry)
    read = codec.decode_alias(alias)
    # An alias that cannot be read must not pass for the text's own answer.
    return None if read is None else Kept(entry, read)


def _ms(seconds: float) -> int:
    # Redis refuses 0.
    return max(1, round(seconds * 1000))
