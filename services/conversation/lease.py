"""Keeps a claim on a turn while its answer is being generated."""

import asyncio
from types import TracebackType
from typing import Final, Self

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.conversation.ports import TurnLedger, TurnRequestKey

_RENEWALS_PER_LEASE: Final = 3


class LeaseKeeper:
    """Inside the block the claim is renewed three times a lease, so a live holder never loses it to slowness.

    Losing it all the same (a process that stood still for a whole lease) ends the block with REQUEST_IN_PROGRESS:
    somebody else answers the turn now.
    """

    def __init__(
        self, ledger: TurnLedger, key: TurnRequestKey, holder: str, lease_seconds: float, clock: Clock
    ) -> None:
        self._ledger: Final = ledger
        self._key: Final = key
        self._holder: Final = holder
        self._interval: Final = lease_seconds / _RENEWALS_PER_LEASE
        self._clock: Final = clock
        self._group: Final = asyncio.TaskGroup()
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._renewing = self._group.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            # One failure is what callers know how to read; a group of one says no more.
            raise group.exceptions[0] from None

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._interval)
            try:
                if not await self._ledger.renew(self._key, self._holder):
                    raise MeshError(Reason.REQUEST_IN_PROGRESS, retry_after=self._interval)
            except MeshError as error:
                if error.reason is Reason.STORE_UNAVAILABLE:
                    continue
                raise
