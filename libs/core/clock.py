"""Time as a constructor argument, so that tests and the simulator can own it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where an object gets time from; `libs.testing.clock.ManualClock` is the other implementation."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...

    def time(self) -> float:
        """Seconds since the Unix epoch, for what people and other machines read."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass (0 yields once)."""
        ...


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def monotonic(self) -> float:
        """Seconds since some point in the past; suspended sleep may or may not count."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since the Unix epoch; jumps when the machine's time is set."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` of the event loop's time pass."""
        await asyncio.sleep(seconds)

    def __repr__(self) -> str:
        return "SystemClock()"
