"""A bound on the calls that are at the provider at once."""

import asyncio
from typing import Final, NamedTuple

from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason

_RETRY_AFTER_SECONDS: Final = 1.0


class GateStatistics(NamedTuple):
    """A snapshot of the gate."""

    inside: int
    """Calls at the provider."""
    shed: int
    """Calls refused since the start."""


class Gate:
    """Lets `limit` calls in; another waits `max_wait` seconds at most, and never beyond its deadline, then is shed."""

    def __init__(self, limit: int, max_wait: float) -> None:
        if limit < 1 or max_wait < 0:
            raise ValueError(f"limit must be positive and max_wait not negative, got {limit} and {max_wait}")
        self._limit: Final = limit
        self._max_wait: Final = max_wait
        self._semaphore = asyncio.Semaphore(limit)
        self._inside = 0
        self._shed = 0

    async def enter(self, deadline: Deadline) -> None:
        """Wait to be let in; whoever got in must `leave`. Raises OVERLOADED."""
        if self._semaphore.locked():
            await self._queue(min(self._max_wait, deadline.remaining()))
        else:
            # Does not wait, so needs no timeout.
            await self._semaphore.acquire()
        self._inside += 1

    def leave(self) -> None:
        """Make room."""
        self._inside -= 1
        self._semaphore.release()

    async def _queue(self, wait: float) -> None:
        try:
            async with asyncio.timeout(wait):
                await self._semaphore.acquire()
        except TimeoutError:
            self._shed += 1
            raise MeshError(Reason.OVERLOADED, retry_after=_RETRY_AFTER_SECONDS) from None

    def statistics(self) -> GateStatistics:
        """What goes on."""
        return GateStatistics(self._inside, self._shed)

    def __repr__(self) -> str:
        return f"Gate({self._inside}/{self._limit}, {self._shed} shed)"
