"""Invalidating, on every replica before it is acknowledged; and deleting what a user put."""

from typing import Final

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.floors import Floors
from services.semantic_cache.index.snapshots import Snapshots
from services.semantic_cache.ports import EntryStore, InvalidationStore
from services.semantic_cache.scope import user_mark
from services.semantic_cache.semantic import SemanticSearch

_POLLS_PER_TRUST: Final = 4
_FORGET_EVERY: Final = 600.0
_ERASED_AT_ONCE: Final = 200
_RETRY_SECONDS: Final = 5.0
# Other machines' clocks may run slower than this one's.
_DRIFT: Final = 1.01


class Invalidator:
    """Invalidates for all replicas.

    Args:
        announcements: where all hear of it.
        entries: where entries are deleted.
        snapshots: what this machine kept of indexes; None: nothing.
        floors: how long a replica may not have heard.
        clock: waits for them.
    """

    def __init__(
        self,
        announcements: InvalidationStore,
        entries: EntryStore,
        snapshots: Snapshots | None,
        floors: Floors,
        clock: Clock,
    ) -> None:
        self._announcements: Final = announcements
        self._entries: Final = entries
        self._snapshots: Final = snapshots
        self._floors: Final = floors
        self._clock: Final = clock

    async def invalidate(self, tenant_id: str, mark: bytes) -> None:
        """Once this returns nobody serves anything with `mark` (empty: anything of the tenant) asked for before.

        Raises:
            MeshError: STORE_UNAVAILABLE; then it may or may not have happened.
        """
        await self._announcements.invalidate(tenant_id, mark)
        await self._until_all_have_heard()

    async def erase_user(self, tenant_id: str, user_id: str) -> int:
        """Delete all that a user put, shared entries included; how many there were.

        Raises:
            MeshError: STORE_UNAVAILABLE; some may be left, so it is to be repeated.
        """
        await self._announcements.invalidate(tenant_id, user_mark(user_id))
        keys = await self._entries.put_by(tenant_id, user_id)
        erased = 0
        for start in range(0, len(keys), _ERASED_AT_ONCE):
            erased += await self._entries.remove(keys[start : start + _ERASED_AT_ONCE])
        for scope in {key.scope for key in keys}:
            if self._snapshots is not None and not await self._snapshots.forget(tenant_id, scope):
                raise MeshError(Reason.STORE_UNAVAILABLE, retry_after=_RETRY_SECONDS)
        await self._until_all_have_heard()
        return erased

    async def _until_all_have_heard(self) -> None:
        await self._clock.sleep(_DRIFT * self._floors.trust_seconds)


class InvalidationFollower:
    """Keeps this replica's floors and memory up to date.

    Args:
        announcements: where to ask.
        floors: what is brought up to date.
        memory: cleared if something was missed.
        semantic: forgets what it remembers of questions when anything is invalidated; None: there is none.
        clock: paces the questions.
        longest_life: seconds an entry can live: what was invalidated earlier concerns nobody.
    """

    def __init__(
        self,
        announcements: InvalidationStore,
        floors: Floors,
        memory: ExactCache,
        semantic: SemanticSearch | None,
        clock: Clock,
        longest_life: float,
    ) -> None:
        self._announcements: Final = announcements
        self._floors: Final = floors
        self._memory: Final = memory
        self._semantic: Final = semantic
        self._clock: Final = clock
        self._longest_life: Final = longest_life
        self._cursor = ""

    async def run(self) -> None:
        """Follow until cancelled."""
        forgotten_at = self._clock.monotonic()
        while True:
            await self.poll()
            now = self._clock.monotonic()
            if now - forgotten_at > _FORGET_EVERY:
                forgotten_at = now
                self._floors.forget(round((self._clock.time() - 2 * self._longest_life) * 1e6))
            await self._clock.sleep(self._floors.trust_seconds / _POLLS_PER_TRUST)

    async def poll(self) -> None:
        """Ask once; a store that is away lets trust run out."""
        asked_at = self._clock.monotonic()
        try:
            announcements, cursor, whole = await self._announcements.announced(self._cursor)
        except MeshError:
            return
        if not self._cursor or not whole:
            # Whatever memory holds may have been invalidated unheard.
            self._memory.clear()
        if announcements:
            self._memory.drop({announcement.mark for announcement in announcements})
            if self._semantic is not None:
                self._semantic.forget_texts()
        self._cursor = cursor
        self._floors.hear(announcements, asked_at)
