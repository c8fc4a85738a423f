"""Looks at the ledger while somebody watches, once for all who do."""

from collections.abc import Awaitable, Callable

from libs.core.clock import Clock
from libs.core.errors import MeshError
from libs.telemetry.logs import Logger
from services.monitoring.broadcast import Broadcast
from services.monitoring.frames import live_frame, unreachable_frame
from services.monitoring.overview import Overview


class Sampler:
    """Publishes a frame each interval, and none while nobody watches.

    Args:
        read: the overview of now; raises `MeshError` if the store does not answer.
        broadcast: where frames go; it is closed when the sampler ends.
        clock: paces.
        interval: seconds between two frames.
        log: hears when the store is lost and found.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Overview]],
        broadcast: Broadcast,
        clock: Clock,
        interval: float,
        log: Logger,
    ) -> None:
        self._read = read
        self._broadcast = broadcast
        self._clock = clock
        self._interval = interval
        self._log = log
        self._lost_at: float | None = None

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            while True:
                await self._broadcast.watched()
                self._broadcast.publish(await self._frame())
                await self._clock.sleep(self._interval)
        finally:
            self._broadcast.close()

    async def _frame(self) -> bytes:
        try:
            overview = await self._read()
        except MeshError as error:
            return self._lost(error)
        if self._lost_at is not None:
            self._log.info("dashboard.store_found", seconds=round(self._clock.time() - self._lost_at, 3))
            self._lost_at = None
        return live_frame(overview)

    def _lost(self, error: MeshError) -> bytes:
        now = self._clock.time()
        if self._lost_at is None:
            self._lost_at = now
            self._log.warning("dashboard.store_lost", reason=error.reason.name)
        return unreachable_frame(now, self._lost_at)
