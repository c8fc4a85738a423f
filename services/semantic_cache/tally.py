"""What each tenant got out of the cache, summed here and written in batches."""

from collections import Counter
from typing import Final

from libs.core.clock import Clock
from libs.core.errors import MeshError
from services.semantic_cache.lookup import Layer, Outcome
from services.semantic_cache.ports import Counts, TallyStore

LOOKUPS: Final = "lookups"
PUTS: Final = "puts"
SAVED: Final = "saved_usd_micros"
WAITED: Final = "waited_hits"
AUDITS: Final = "audits"
UNAVAILABLE: Final = "unavailable"
HITS: Final = {
    Layer.EXACT_MEMORY: "exact_memory_hits",
    Layer.EXACT_REDIS: "exact_redis_hits",
    Layer.SEMANTIC: "semantic_hits",
}
_OTHERS: Final = {Layer.AUDIT: AUDITS, Layer.UNAVAILABLE: UNAVAILABLE}


class Tally:
    """Sums by tenant.

    A batch whose write failed is written again, so after an outage of the store a count may be a batch too high;
    a crash loses at most one interval's counts.

    Args:
        store: where the sums of all replicas meet.
        clock: paces the writing.
        interval: seconds between two writings.
    """

    def __init__(self, store: TallyStore, clock: Clock, interval: float = 1.0) -> None:
        self._store: Final = store
        self._clock: Final = clock
        self._interval: Final = interval
        self._pending: dict[str, Counter[str]] = {}

    def lookup(self, tenant_id: str, outcome: Outcome) -> None:
        """Count a lookup. Who waited in vain is about to ask again, or was counted as who asked first."""
        if outcome.layer is Layer.WAITED:
            return
        counts = self._of(tenant_id)
        counts[LOOKUPS] += 1
        if outcome.entry is not None:
            counts[HITS[outcome.layer]] += 1
            counts[SAVED] += outcome.entry.cost_usd_micros
            if outcome.waited:
                counts[WAITED] += 1
        elif outcome.layer in _OTHERS:
            counts[_OTHERS[outcome.layer]] += 1

    def put(self, tenant_id: str) -> None:
        """Count an answer that was kept."""
        self._of(tenant_id)[PUTS] += 1

    async def read(self, tenant_id: str) -> Counts:
        """A tenant's sums, with what this replica has not written yet. Raises STORE_UNAVAILABLE."""
        sums: Counter[str] = Counter(await self._store.read(tenant_id))
        sums.update(self._pending.get(tenant_id, {}))
        return sums

    async def run(self) -> None:
        """Write every interval until cancelled."""
        while True:
            await self._clock.sleep(self._interval)
            await self.flush()

    async def flush(self) -> None:
        """Write what is pending; what cannot be written stays pending, and keeps nobody else's from it."""
        pending, self._pending = self._pending, {}
        for tenant_id, counts in pending.items():
            try:
                await self._store.add(tenant_id, counts)
            except MeshError:
                self._of(tenant_id).update(counts)

    def _of(self, tenant_id: str) -> Counter[str]:
        counts = self._pending.get(tenant_id)
        if counts is None:
            counts = self._pending[tenant_id] = Counter()
        return counts

    def __repr__(self) -> str:
        return f"Tally({len(self._pending)} tenants pending)"
