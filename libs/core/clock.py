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

    # The functions themselves and not methods around them: a call through the mesh asks for the time ten times.
    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` of the event loop's time pass."""
        await asyncio.sleep(seconds)

    def __repr__(self) -> str:
        return "SystemClock()"
