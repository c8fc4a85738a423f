"""One stream of frames for many viewers, of whom none can hold up another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

_BACKLOG: Final = 5


class NoRoomError(Exception):
    """There are as many viewers as there may be, or the broadcast is over."""


class Viewer:
    """One who watches: iterate over it to get the frames.

    Args:
        on_drop: called when the viewer is too slow and will get nothing more.
    """

    def __init__(self, on_drop: Callable[[], None]) -> None:
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._on_drop = on_drop

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The frames from now on; ends with the broadcast."""
        while (frame := await self._frames.get()) is not None:
            yield frame

    @property
    def behind(self) -> int:
        """Frames waiting for the viewer."""
        return self._frames.qsize()

    def offer(self, frame: bytes) -> bool:
        """Hand over a frame; False if the viewer is `_BACKLOG` frames behind, which drops it."""
        if self._frames.qsize() < _BACKLOG:
            self._frames.put_nowait(frame)
            return True
        self.end()
        self._on_drop()
        return False

    def end(self) -> None:
        """Let the iteration end after the frames that wait."""
        self._frames.put_nowait(None)


class BroadcastStatistics(NamedTuple):
    """A snapshot of a `Broadcast`."""

    viewers: int
    dropped: int
    """Viewers lost because they were too slow."""
    refused: int
    """Viewers refused because there was no room."""


class Broadcast:
    """Hands every published frame to every viewer. A new viewer begins with the latest frame.

    Args:
        max_viewers: how many may watch at the same time.
    """

    def __init__(self, max_viewers: int) -> None:
        if max_viewers < 1:
            raise ValueError(f"max_viewers must be at least 1, got {max_viewers}")
        self._max_viewers = max_viewers
        self._viewers: set[Viewer] = set()
        self._latest: bytes | None = None
        self._watched = asyncio.Event()
        self._closed = False
        self._dropped = 0
        self._refused = 0

    @contextmanager
    def join(self, on_drop: Callable[[], None]) -> Iterator[Viewer]:
        """Watch inside the block.

        Raises:
            NoRoomError: there are `max_viewers` already, or the broadcast is closed.
        """
        if self._closed or len(self._viewers) >= self._max_viewers:
            self._refused += 1
            raise NoRoomError
        viewer = Viewer(on_drop)
        if self._latest is not None:
            viewer.offer(self._latest)
        self._viewers.add(viewer)
        self._watched.set()
        try:
            yield viewer
        finally:
            self._forget(viewer)

    def publish(self, frame: bytes) -> None:
        """Hand the frame to everyone; whoever is too far behind is dropped."""
        self._latest = frame if self._viewers else None
        for viewer in list(self._viewers):
            if not viewer.offer(frame):
                self._dropped += 1
                self._forget(viewer)

    async def watched(self) -> None:
        """Return once somebody watches."""
        await self._watched.wait()

    def close(self) -> None:
        """End every viewer's iteration and let nobody in any more."""
        self._closed = True
        for viewer in self._viewers:
            viewer.end()

    def statistics(self) -> BroadcastStatistics:
        """What happened so far."""
        return BroadcastStatistics(len(self._viewers), self._dropped, self._refused)

    def _forget(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        if not self._viewers:
            # The next viewer may come hours later: the latest frame would be a lie by then.
            self._latest = None
            self._watched.clear()

    def __repr__(self) -> str:
        return f"Broadcast({self.statistics()}, max_viewers={self._max_viewers})"
