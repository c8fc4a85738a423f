"""An event loop whose time is virtual: an hour of waiting takes no time, and every run is the same.

When nothing is ready the loop moves its clock to the next timer instead of blocking. asyncio's own tests replace the
selector in the same way (`test.test_asyncio.utils.TestLoop`).
"""

import asyncio
from collections.abc import Coroutine
from typing import Final, Never, TypeVar

T = TypeVar("T")


class DeadlockError(RuntimeError):
    """Everything waits for something that nobody will ever do."""


class _Jump:
    """Where a loop would wait for sockets, this one moves its clock."""

    __slots__ = ("_loop",)

    def __init__(self, loop: "VirtualTimeLoop") -> None:
        self._loop: Final = loop

    def select(self, timeout: float | None) -> tuple[Never, ...]:
        if timeout is None:
            raise DeadlockError("nothing is ready and no timer is set: every task waits for ever")
        if timeout > 0:
            self._loop.advance(timeout)
        return ()


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """An event loop for tasks, futures and timers alone: no sockets, no threads, no subprocesses.

    Callbacks run in the order that asyncio gives them, which depends on nothing outside the loop: a program whose
    random numbers are seeded does the same in every run.
    """

    def __init__(self, start: float = 1000.0) -> None:
        """Make a loop.

        Args:
            start: what `time()` says first, in seconds.
        """
        super().__init__()
        self._now = start
        # Timers this close to the present are due: less than that is rounding.
        self._clock_resolution = 1e-9
        self._selector = _Jump(self)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock; the loop does so itself whenever nothing is ready."""
        self._now += seconds

    def _process_events(self, event_list: object) -> None:
        """Nothing ever comes from a selector."""

    def _write_to_self(self) -> None:
        """There is no selector to wake."""


class LoopClock:
    """A `libs.core.clock.Clock` that shows an event loop's time."""

    __slots__ = ("_loop", "_offset")

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: float = 1_700_000_000.0) -> None:
        """Make a clock.

        Args:
            loop: whose time it shows.
            epoch: the Unix time of the present instant.
        """
        self._loop: Final = loop
        self._offset: Final = epoch - loop.time()

    def monotonic(self) -> float:
        """The loop's time, in seconds."""
        return self._loop.time()

    def time(self) -> float:
        """The loop's time as Unix time."""
        return self._loop.time() + self._offset

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` of the loop's time pass (0 yields once)."""
        woken: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(max(0.0, seconds), _wake, woken)
        try:
            await woken
        finally:
            timer.cancel()

    def __repr__(self) -> str:
        return f"<LoopClock {self._loop.time():.3f}>"


def run_virtual(main: Coroutine[object, None, T]) -> T:
    """Run `main` to its end on a `VirtualTimeLoop` of its own.

    Raises:
        DeadlockError: if it waits for something that will never happen.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
