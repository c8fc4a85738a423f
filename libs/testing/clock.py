"""Time that stands still until a test moves it."""

import asyncio
import heapq
from itertools import count
from typing import Final


class ManualClock:
    """A `libs.core.clock.Clock` that a test advances.

    `sleep` waits until `advance` has moved the clock far enough; sleepers wake in the order of their instants, and
    each sees the clock at its own instant only if nothing else moved it meanwhile. With `autojump` the clock moves
    to the next sleeper by itself whenever everything has been quiet for that many real seconds (trio's autojump).

    Args:
        start: the monotonic reading to start with, in seconds.
        epoch: the Unix time that goes with it.
        autojump: real seconds of quiet before a jump, such as 0.001; None never jumps.
    """

    def __init__(self, start: float = 1000.0, epoch: float = 1_700_000_000.0, autojump: float | None = None) -> None:
        self._now = start
        self._offset: Final = epoch - start
        self._autojump: Final = autojump
        self._order: Final = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._jump: asyncio.TimerHandle | None = None

    def monotonic(self) -> float:
        """The current reading."""
        return self._now

    def time(self) -> float:
        """The current reading as Unix time."""
        return self._now + self._offset

    @property
    def sleeping(self) -> int:
        """How many sleepers there are."""
        return sum(not sleeper.done() for _, _, sleeper in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Move the clock and wake those whose instant has come; they run when the test next awaits something."""
        if seconds < 0:
            raise ValueError(f"time does not go back, got {seconds}")
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            sleeper = heapq.heappop(self._sleepers)[2]
            if not sleeper.done():
                sleeper.set_result(None)

    async def run(self, seconds: float, turns: int = 20) -> None:
        """Move the clock from one sleeper's instant to the next, up to `seconds` from now, letting each run.

        Args:
            seconds: how far to move altogether.
            turns: how often the event loop goes round at each stop, for what the sleepers set off.
        """
        end = self._now + seconds
        await self.settle(turns)
        while self._sleepers and self._sleepers[0][0] <= end:
            self.advance(max(0.0, self._sleepers[0][0] - self._now))
            await self.settle(turns)
        self.advance(max(0.0, end - self._now))
        await self.settle(turns)

    async def settle(self, turns: int = 20) -> None:
        """Let the event loop go round, without moving the clock."""
        for _ in range(turns):
            await _turn()

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved by `seconds`."""
        if seconds <= 0:
            await _turn()
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), sleeper))
        self._plan_jump()
        await sleeper
        self._plan_jump()

    def _plan_jump(self) -> None:
        if self._autojump is None:
            return
        if self._jump is not None:
            self._jump.cancel()
        self._jump = asyncio.get_running_loop().call_later(self._autojump, self._jump_now)

    def _jump_now(self) -> None:
        self._jump = None
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if self._sleepers:
            self.advance(max(0.0, self._sleepers[0][0] - self._now))

    def __repr__(self) -> str:
        return f"<ManualClock {self._now:.3f}, {self.sleeping} sleeping>"


async def _turn() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.get_loop().call_soon(future.set_result, None)
    await future
