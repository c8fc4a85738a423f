"""Keeps leases while an answer is being generated or waited for: the claim on the turn, and the cache's."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.conversation.ports import TurnLedger, TurnRequestKey

RENEWALS_PER_LEASE: Final = 3


@dataclass(frozen=True, slots=True)
class Renewal:
    """How one lease is kept."""

    interval: float
    """Seconds between two renewals, and before the first; positive."""
    renew: Callable[[], Awaitable[bool]]
    """Prolongs it; False if it need not be kept any more. What it raises ends the block."""


def claim_renewal(ledger: TurnLedger, key: TurnRequestKey, holder: str, lease_seconds: float) -> Renewal:
    """Keeps the claim on a turn, so that a live holder never loses it to slowness.

    Losing it all the same (a process that stood still for a whole lease) ends the block with REQUEST_IN_PROGRESS:
    somebody else answers the turn now.
    """
    interval = lease_seconds / RENEWALS_PER_LEASE

    async def renew() -> bool:
        try:
            if not await ledger.renew(key, holder):
                raise MeshError(Reason.REQUEST_IN_PROGRESS, retry_after=interval)
        except MeshError as error:
            if error.reason is not Reason.STORE_UNAVAILABLE:
                raise
        return True

    return Renewal(interval, renew)


class LeaseKeeper:
    """Inside the block leases are renewed, each by itself; leaving it before the first is due has cost no call."""

    def __init__(self, clock: Clock, *renewals: Renewal) -> None:
        self._clock: Final = clock
        self._soonest_first: Final = sorted(renewals, key=lambda renewal: renewal.interval)
        self._group: Final = asyncio.TaskGroup()
        self._tasks: Final[list[asyncio.Task[None]]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._tasks.append(self._group.create_task(self._start()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            # One failure is what callers know how to read; a group of one says no more.
            raise group.exceptions[0] from None

    async def _start(self) -> None:
        # One task until a lease is due: most answers are there before.
        waited = 0.0
        for renewal in self._soonest_first:
            await self._clock.sleep(renewal.interval - waited)
            waited = renewal.interval
            self._tasks.append(self._group.create_task(self._keep(renewal)))

    async def _keep(self, renewal: Renewal) -> None:
        while await renewal.renew():
            await self._clock.sleep(renewal.interval)
