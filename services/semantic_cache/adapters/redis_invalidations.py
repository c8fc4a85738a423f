"""Invalidations in Redis: what is dead stands in the tenant's floors, and a stream tells all replicas."""

from typing import Final

from libs.store.connection import Store
from libs.store.replies import Reply, array, blob, integer, pairs
from libs.store.script import Script, load
from services.semantic_cache.adapters import keys
from services.semantic_cache.ports import Announcement, InvalidationStore

_DAY_SECONDS: Final = 86_400
# Each takes about 130 bytes. A tenant that has more of them alive starts anew.
_MOST_MARKS: Final = 50_000
_MOST_ANNOUNCEMENTS: Final = 10_000
_ANNOUNCED_AT_ONCE: Final = 200
_PREFIX_OR_TAG_BYTES: Final = 8
_ENTRY_BYTES: Final = 20


class RedisInvalidationStore(InvalidationStore):
    """Implements the port.

    Args:
        store: the Redis that the entries are in.
        max_ttl: seconds an entry may be kept at most; older invalidations are forgotten.
        most_marks: prefixes, tags and entries of a tenant that may be invalidated at a time; one more invalidates
            everything of it.
    """

    def __init__(self, store: Store, max_ttl: float, most_marks: int = _MOST_MARKS) -> None:
        self._remembered_us: Final = int((max_ttl + _DAY_SECONDS) * 1_000_000)
        self._announced_ms: Final = int((max_ttl + _DAY_SECONDS) * 1000)
        self._most_marks: Final = most_marks
        marking = load(__package__, "tenant.lua") + load(__package__, "invalidate.lua")
        feed = load(__package__, "feed.lua")
        self._invalidate: Final = Script(store, marking, idempotent=True)
        self._announce: Final = Script(store, feed + load(__package__, "announce.lua"), idempotent=True)
        self._announced: Final = Script(store, feed + load(__package__, "announced.lua"), idempotent=True)

    async def invalidate(self, tenant_id: str, mark: bytes) -> None:
        """From now on the store gives out nothing with `mark` that was asked before; and announce it.

        Two round trips, as the announcements are no tenant's: the truth first. If it raises, call it again.
        """
        args = (_field(mark), self._remembered_us, self._most_marks)
        at, everything = array(await self._invalidate([keys.floors(tenant_id)], args))
        announced = b"" if integer(everything) else mark
        await self._announce(
            [keys.ANNOUNCEMENTS], (tenant_id, announced, integer(at), _MOST_ANNOUNCEMENTS, self._announced_ms)
        )

    async def announced(self, cursor: str) -> tuple[list[Announcement], str, bool]:
        """All that was announced since the cursor ("" is now), the next cursor, and whether nothing was missed."""
        found: list[Announcement] = []
        while True:
            answer = array(await self._announced([keys.ANNOUNCEMENTS], (cursor, _ANNOUNCED_AT_ONCE)))
            position, complete, more, items = answer
            cursor = blob(position).decode()
            found += [_announcement(item) for item in array(items)]
            if not integer(complete):
                return [], cursor, False
            if not integer(more):
                return found, cursor, True


def _field(mark: bytes) -> bytes:
    if len(mark) not in (0, _PREFIX_OR_TAG_BYTES, _ENTRY_BYTES):
        raise ValueError(f"a mark has 8 bytes, an entry's digest 20, not {len(mark)}")
    # As the names of entries end, which is how the scripts know it.
    return mark.hex().encode() if len(mark) == _ENTRY_BYTES else mark


def _announcement(item: Reply) -> Announcement:
    _, fields = array(item)
    read = pairs(fields)
    return Announcement(read[b"t"].decode(), read[b"m"], int(read[b"a"]))
