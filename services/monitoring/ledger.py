"""The service's two verbs: enter what was used, sum up the recent past."""

from collections.abc import Sequence

from libs.core.clock import Clock
from services.monitoring.aggregate import EVERYONE, aggregate
from services.monitoring.events import Event
from services.monitoring.overview import Overview, summarise
from services.monitoring.ports import SliceStore
from services.monitoring.slices import plan


class UsageLedger:
    """Usage of all tenants, in slices of time.

    Args:
        store: where the sums are kept.
        clock: what "the last five minutes" are counted from.
    """

    def __init__(self, store: SliceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def record(self, batch_id: str, events: Sequence[Event]) -> int:
        """Add the events, once per `batch_id`.

        Returns:
            How many were added: 0 for a batch that had been added before; events over 25 h old do not count.

        Raises:
            MeshError: STORE_UNAVAILABLE; send the batch again under the same id.
        """
        batches = aggregate(events, self._clock.time())
        if not batches:
            return 0
        added = await self._store.add(batch_id, batches)
        pairs = zip(batches, added, strict=True)
        return sum(batch.event_count for batch, new in pairs if new and batch.scope != EVERYONE)

    async def overview(self, scope: str, window_seconds: float) -> Overview:
        """Sum up the last `window_seconds` (10 s to 24 h) of a tenant or of `EVERYONE`.

        Raises:
            MeshError: STORE_UNAVAILABLE.
            ValueError: the window is too short or too long.
        """
        now = self._clock.time()
        planned = plan(now, window_seconds)
        slices = planned.slices()
        return summarise(planned, now, list(zip(slices, await self._store.read(scope, slices), strict=True)))
