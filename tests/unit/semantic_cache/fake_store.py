"""The store of entries without Redis: the rules of `ports.EntryStore`, in dictionaries."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.semantic_cache.entry import Alias, Entry, Kept
from services.semantic_cache.index.member import Member
from services.semantic_cache.ports import Announcement, EntryStore, NewEntry, News, Opened, Standing
from services.semantic_cache.scope import Key

_OPEN: Final = b"open"
_NONCE_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is under a key."""

    key: Key
    value: Entry | Alias
    until: float
    user_id: str


@dataclass(slots=True)
class _Members:
    """A scope's members, and who of them came or went."""

    members: dict[bytes, Member] = field(default_factory=dict)
    feed: list[bytes] = field(default_factory=list)
    forgotten: int = 0
    """Events at the beginning of the feed that are gone."""


class FakeEntryStore(EntryStore):
    """Several replicas may share one.

    Args:
        clock: the store's own.
        news: members or events that one reading brings.
        latency: seconds that a command takes to arrive, and its reply to come back.
    """

    def __init__(self, clock: Clock, news: int = 100, latency: float = 0.0) -> None:
        self.announcements: list[Announcement] = []
        self.down = False
        self.calls: Counter[str] = Counter()
        self.latency = latency
        self._clock = clock
        self._news = news
        self._stored: dict[bytes, _Stored] = {}
        self._members: dict[tuple[str, bytes], _Members] = {}
        self._leases: dict[bytes, tuple[bytes, float]] = {}
        self._floors: dict[tuple[str, bytes], int] = {}
        self._instant = 0
        self._granted = 0

    async def open(
        self, key: Key, lease_seconds: float = 0.0, *, past_alias: bool = False, nonce: bytes = b""
    ) -> Opened:
        if nonce and len(nonce) != _NONCE_BYTES:
            raise ValueError("a nonce has 8 bytes")
        async with self._round_trip("open"):
            barred = self._floors.get((key.tenant_id, key.entry), 0)
            kept = self._read(key)
            if past_alias and kept is not None and kept.alias is not None:
                kept = None
            if kept is not None or lease_seconds <= 0:
                return Opened(kept, self.instant(), barred=barred)
            return self._lease(key, lease_seconds, nonce, barred)

    async def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        async with self._round_trip("get_many"):
            found = [self._read(key) for key in keys]
            return [None if kept is None or kept.alias is not None else kept.entry for kept in found]

    async def put(self, key: Key, new: NewEntry) -> bool:
        async with self._round_trip("put"):
            entry = replace(new.entry, asked_at=new.entry.asked_at or self.instant())
            self._end_lease(key, new.lease_token)
            before = self._stored.get(key.entry)
            newer = self._own_entry(before) if before is not None else None
            if self._dead(key, entry) or (newer is not None and newer.asked_at > entry.asked_at):
                return False
            self._stored[key.entry] = _Stored(key, entry, self._clock.time() + new.ttl, new.user_id)
            if new.member is None:
                self._leave(key)
            else:
                self._join(key, new.member)
            return True

    async def put_alias(self, key: Key, alias: Alias, ttl: float, user_id: str) -> None:
        async with self._round_trip("put_alias"):
            if self._read(key) is None and self._follow(key, alias) is not None:
                self._stored[key.entry] = _Stored(key, alias, self._clock.time() + ttl, user_id)

    async def attach(self, key: Key, member: Member, ttl: float) -> bool:
        async with self._round_trip("attach"):
            stored = self._stored.get(key.entry)
            entry = self._own_entry(stored) if stored is not None else None
            # Expiries are spread, so they tell answers to the same question apart.
            if entry is None or entry.expires_at != member.expires_at:
                return False
            self._join(key, member)
            return True

    async def renew(self, key: Key, lease_token: bytes, lease_seconds: float) -> bool:
        async with self._round_trip("renew"):
            if not self._holds(key, lease_token):
                return False
            self._leases[key.entry] = lease_token, self._clock.time() + lease_seconds
            return True

    async def release(self, key: Key, lease_token: bytes, open_seconds: float) -> None:
        async with self._round_trip("release"):
            held, until = self._leases.get(key.entry, (_OPEN, 0.0))
            ours = held != _OPEN and held[-_NONCE_BYTES:] == lease_token[-_NONCE_BYTES:]
            if ours and until > self._clock.time():
                self._leases[key.entry] = _OPEN, self._clock.time() + open_seconds

    async def news(self, key: Key, cursor: str) -> News:
        async with self._round_trip("news"):
            scope = self._of(key)
            position, _, page = cursor.partition("/")
            if page or not position or int(position) < scope.forgotten:
                return self._page(scope, position if page else "", bytes.fromhex(page))
            return self._changes(scope, int(position))

    async def remove(self, keys: Sequence[Key]) -> int:
        async with self._round_trip("remove"):
            there = [key for key in keys if self._stored.pop(key.entry, None) is not None]
            for key in keys:
                self._leave(key)
            return len(there)

    async def put_by(self, tenant_id: str, user_id: str) -> list[Key]:
        async with self._round_trip("put_by"):
            stored = self._stored.values()
            return [each.key for each in stored if (each.key.tenant_id, each.user_id) == (tenant_id, user_id)]

    def instant(self) -> int:
        """The store's time, in microseconds; it never goes back."""
        self._instant = max(self._instant, round(self._clock.time() * 1e6))
        return self._instant

    def invalidate(self, tenant_id: str, mark: bytes) -> None:
        """What `InvalidationStore.invalidate` does."""
        self._instant = at = self.instant() + 1
        self._floors[tenant_id, mark] = at
        self.announcements.append(Announcement(tenant_id, mark, at))

    def evict(self) -> None:
        """What Redis does when it is full: entries go, while scopes still name them."""
        self._stored.clear()

    def forget_feed(self, key: Key) -> None:
        """Events that were not read yet will not be."""
        scope = self._of(key)
        scope.forgotten += len(scope.feed)
        scope.feed.clear()

    def members(self, key: Key) -> dict[bytes, Member]:
        """The members of the scope that `key` lies in."""
        return dict(self._of(key).members)

    def leased(self, key: Key) -> bool:
        """Whether somebody holds the lease on the answer to `key`."""
        token, until = self._leases.get(key.entry, (_OPEN, 0.0))
        return token != _OPEN and until > self._clock.time()

    @asynccontextmanager
    async def _round_trip(self, call: str) -> AsyncIterator[None]:
        self.calls[call] += 1
        if self.latency:
            await self._clock.sleep(self.latency)
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE, retry_after=1.0)
        yield
        if self.latency:
            await self._clock.sleep(self.latency)

    def _read(self, key: Key) -> Kept | None:
        stored = self._stored.get(key.entry)
        if stored is None or stored.key.tenant_id != key.tenant_id or stored.until <= self._clock.time():
            return None
        if isinstance(stored.value, Alias):
            return self._follow(key, stored.value)
        entry = self._own_entry(stored)
        return None if entry is None else Kept(entry)

    def _follow(self, key: Key, alias: Alias) -> Kept | None:
        target = self._stored.get(alias.target)
        entry = self._own_entry(target) if target is not None else None
        # The text's own mark counts too: somebody found what it led to wrong for it.
        if entry is None or self._floors.get((key.tenant_id, key.entry), 0) > entry.asked_at:
            return None
        return Kept(entry, alias)

    def _own_entry(self, stored: _Stored) -> Entry | None:
        entry, now = stored.value, self._clock.time()
        if isinstance(entry, Alias) or min(stored.until, entry.expires_at) <= now or self._dead(stored.key, entry):
            return None
        return entry

    def _dead(self, key: Key, entry: Entry) -> bool:
        marks = (b"", key.entry, *entry.marks)
        return any(self._floors.get((key.tenant_id, mark), 0) > entry.asked_at for mark in marks)

    def _lease(self, key: Key, lease_seconds: float, nonce: bytes, barred: int) -> Opened:
        token, until = self._leases.get(key.entry, (b"", 0.0))
        held = until - self._clock.time()
        begun = int.from_bytes(token[:-_NONCE_BYTES], "big")
        # What began before everything was invalidated is not waited for.
        if held <= 0 or (token != _OPEN and begun < self._floors.get((key.tenant_id, b""), 0)):
            return self._grant(key, lease_seconds, nonce, barred)
        if token == _OPEN:
            return Opened(None, self.instant(), Standing.OPEN, barred=barred)
        if nonce and token.endswith(nonce):
            return Opened(None, begun, Standing.GRANTED, token, barred=barred)
        return Opened(None, self.instant(), Standing.HELD, held_seconds=held, barred=barred)

    def _grant(self, key: Key, lease_seconds: float, nonce: bytes, barred: int) -> Opened:
        self._granted += 1
        self._instant = asked_at = self.instant() + 1
        token = asked_at.to_bytes(8, "big") + (nonce or self._granted.to_bytes(_NONCE_BYTES, "big"))
        self._leases[key.entry] = token, self._clock.time() + lease_seconds
        return Opened(None, asked_at, Standing.GRANTED, token, barred=barred)

    def _holds(self, key: Key, token: bytes) -> bool:
        held, until = self._leases.get(key.entry, (b"", 0.0))
        return held == token and until > self._clock.time()

    def _end_lease(self, key: Key, token: bytes) -> None:
        if token and self._holds(key, token):
            del self._leases[key.entry]

    def _of(self, key: Key) -> _Members:
        return self._members.setdefault((key.tenant_id, key.scope), _Members())

    def _join(self, key: Key, member: Member) -> None:
        scope = self._of(key)
        scope.members[key.entry] = member
        scope.feed.append(key.entry)

    def _leave(self, key: Key) -> None:
        scope = self._of(key)
        if scope.members.pop(key.entry, None) is not None:
            scope.feed.append(key.entry)

    def _changes(self, scope: _Members, position: int) -> News:
        events = scope.feed[position - scope.forgotten :][: self._news]
        added = tuple(scope.members[entry] for entry in dict.fromkeys(events) if entry in scope.members)
        removed = tuple(entry for entry in dict.fromkeys(events) if entry not in scope.members)
        return News(added, removed, str(position + len(events)), more=len(events) == self._news)

    def _page(self, scope: _Members, position: str, after: bytes) -> News:
        # Noted before the first page is read, so that nothing falls in between.
        noted = position or str(scope.forgotten + len(scope.feed))
        rest = sorted(entry for entry in scope.members if entry > after)
        page = rest[: self._news]
        more = len(rest) > len(page)
        cursor = f"{noted}/{page[-1].hex()}" if more else noted
        return News(tuple(scope.members[entry] for entry in page), (), cursor, more, restart=not position)
