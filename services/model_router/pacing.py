"""A generation as a stream of paced text: the model writes on one side, the caller reads on the other."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from libs.core.clock import Clock
from libs.core.errors import MeshError
from services.model_router.attempt import Sink
from services.model_router.coalescer import Coalescer
from services.model_router.outcome import Generated

Work = Callable[[Sink], Awaitable[Generated]]
"""A generation that hands its text to a sink."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What goes to the caller as one message."""

    text: str
    """May be empty in the last piece."""
    end: Generated | None = None
    """Set in the last piece."""


async def paced(work: Work, coalescer: Coalescer, clock: Clock) -> AsyncGenerator[Piece, None]:
    """The text of a generation as it falls due, then its end. Closing the iterator cancels the generation.

    What waits for a slow reader is one answer at most, and goes out as one piece.

    Raises:
        MeshError: as the generation did, after all text that came before it.
    """
    page = _Page(work, coalescer, clock)
    abandoned = False
    async with asyncio.TaskGroup() as tasks:
        # Neither task lets an expected error out: a task group answers one by cancelling its parent, which, while
        # this generator is suspended, is busy elsewhere.
        sides = (tasks.create_task(page.write()), tasks.create_task(page.turn()))
        try:
            while text := await page.read():
                yield Piece(text)
        except GeneratorExit:
            # Ends the generator as well as being raised on would; a task group would make an error of it.
            abandoned = True
        finally:
            for side in sides:
                side.cancel()
    if abandoned:
        return
    rest, end = page.rest()
    if isinstance(end, Generated):
        yield Piece(rest, end)
        return
    if rest:
        yield Piece(rest)
    raise end


class _Page:
    """Where text waits between the two sides."""

    __slots__ = ("_clock", "_coalescer", "_held", "_outcome", "_ready", "_work")

    def __init__(self, work: Work, coalescer: Coalescer, clock: Clock) -> None:
        self._work = work
        self._coalescer = coalescer
        self._clock = clock
        self._outcome: Generated | MeshError | None = None
        self._ready = asyncio.Event()
        """Set when the reader has something to do."""
        self._held = asyncio.Event()
        """Set when text waits for its time."""

    async def write(self) -> None:
        """Run the generation to its end."""
        try:
            self._outcome = await self._work(self._add)
        except MeshError as error:
            self._outcome = error
        self._ready.set()

    def _add(self, text: str) -> None:
        self._coalescer.add(text)
        if self._coalescer.due_in(self._clock.monotonic()) == 0.0:
            self._ready.set()
        else:
            self._held.set()

    async def turn(self) -> None:
        """Wake the reader when text that was held falls due."""
        while True:
            await self._held.wait()
            self._held.clear()
            wait = self._coalescer.due_in(self._clock.monotonic())
            if wait is not None:
                await self._clock.sleep(wait)
                self._ready.set()

    async def read(self) -> str:
        """The next piece that is due; empty once the generation is over, and then `rest` has what was not read."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self._outcome is not None:
                return ""
            now = self._clock.monotonic()
            if self._coalescer.due_in(now) == 0.0:
                return self._coalescer.take(now)
            # Woken for text that an earlier piece took along, or a little too early, as timers may.
            self._held.set()

    def rest(self) -> tuple[str, Generated | MeshError]:
        """Text not yet read, and how the generation ended."""
        if self._outcome is None:
            raise AssertionError("the generation has not ended")
        return self._coalescer.take(self._clock.monotonic()), self._outcome
