"""A clock the test moves, and the sums in a dictionary."""

import asyncio
from collections.abc import Sequence

from libs.core.errors import MeshError, Reason
from services.monitoring.aggregate import ScopeBatch
from services.monitoring.ports import SliceStore
from services.monitoring.slices import Slice
from services.monitoring.tally import Tally


class VirtualClock:
    """Stands still until `advance`."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Let time pass and wake whoever has slept long enough."""
        self.now += seconds
        for due, woken in self._sleepers:
            if due <= self.now:
                woken.set()
        self._sleepers = [(due, woken) for due, woken in self._sleepers if due > self.now]


class DictSlices(SliceStore):
    """The port's contract without Redis; `down` makes it unreachable."""

    def __init__(self) -> None:
        self.down = False
        self.reads = 0
        self._seen: set[tuple[str, str]] = set()
        self._tallies: dict[tuple[str, Slice], Tally] = {}

    async def add(self, batch_id: str, batches: Sequence[ScopeBatch]) -> list[bool]:
        self._check()
        return [self._add_one(batch_id, batch) for batch in batches]

    async def read(self, scope: str, slices: Sequence[Slice]) -> list[Tally]:
        self._check()
        self.reads += 1
        return [self._tallies.get((scope, part), Tally()) for part in slices]

    def _add_one(self, batch_id: str, batch: ScopeBatch) -> bool:
        if (batch.scope, batch_id) in self._seen:
            return False
        self._seen.add((batch.scope, batch_id))
        for part, tally in batch.tallies.items():
            self._tallies.setdefault((batch.scope, part), Tally()).merge(tally)
        return True

    def _check(self) -> None:
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE, retry_after=1)
