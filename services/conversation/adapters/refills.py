"""One question at a time about one key, and everybody who comes meanwhile waits for its end."""

import asyncio
from collections.abc import Hashable
from types import TracebackType
from typing import Final, Self

from libs.core.errors import MeshError


class Refill:
    """A question that one task asks inside the block, and that others wait for.

    However the block is left, those who wait go on. A class and not a generator: this stands on the path of a call.
    """

    __slots__ = ("_asking", "_ended", "_key", "failure", "waiting")

    def __init__(self, asking: "dict[Hashable, Refill]", key: Hashable) -> None:
        self._asking: Final = asking
        self._key: Final = key
        self._ended: Final = asyncio.Event()
        self.failure: MeshError | None = None
        """The answer, if it is a refusal that holds for all; whoever asks sets it."""
        self.waiting = 0
        """How many have not gone on yet."""

    async def ended(self) -> None:
        """Wait for the end: an answer, a refusal, or that whoever asked gave up.

        Raises:
            MeshError: the refusal.
        """
        self.waiting += 1
        try:
            await self._ended.wait()
        finally:
            self.waiting -= 1
        if self.failure is not None:
            # One object for all: without this each raising would lengthen its traceback.
            raise self.failure.with_traceback(None)

    def __enter__(self) -> Self:
        self._asking[self._key] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._asking[self._key]
        self._ended.set()


class Refills:
    """The questions that are being asked, at most one per key."""

    def __init__(self) -> None:
        self._asking: Final[dict[Hashable, Refill]] = {}

    def of(self, key: Hashable) -> Refill | None:
        """The question about `key` that somebody asks now; None: ask."""
        return self._asking.get(key)

    def ask(self, key: Hashable) -> Refill:
        """A question about `key`, of which there must be none; it is asked inside its block."""
        if key in self._asking:
            raise ValueError("this is being asked already")
        return Refill(self._asking, key)

    def __repr__(self) -> str:
        return f"Refills({len(self._asking)})"
