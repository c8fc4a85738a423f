"""Texts that wait for the model: each once, however many callers want it."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, TypeAlias

from libs.core.errors import Reason
from services.semantic_cache.ports import Embedded

Answer: TypeAlias = Embedded | Reason
"""An embedding, or why there is none. A reason and not an exception: each caller raises one of its own, since one that
is raised in several tasks would collect the tracebacks of all."""


class Wanted:
    """A text that somebody waits for."""

    __slots__ = ("answer", "callers", "memorable", "text")

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self.answer: Final[asyncio.Future[Answer]] = asyncio.get_running_loop().create_future()
        self.callers = 0
        self.memorable = True
        """Whether it may be remembered once it is answered."""

    def settle(self, answer: Answer) -> None:
        """Tell those who wait."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def __repr__(self) -> str:
        return f"<Wanted {len(self.text)} characters, {self.callers} callers>"


class WaitingTexts:
    """First come, first embedded; a text that nobody waits for any more leaves without being read.

    Args:
        capacity: texts that may wait.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity: Final = capacity
        self._queue: Final[OrderedDict[str, Wanted]] = OrderedDict()
        self._running: dict[str, Wanted] = {}

    def __len__(self) -> int:
        return len(self._queue)

    def join(self, texts: Iterable[str]) -> list[Wanted] | None:
        """Wait for `texts`, together with those who wait for the same ones; `leave` must follow.

        Returns:
            One for each different text, in their order, or None if all are more than may wait.
        """
        different = dict.fromkeys(texts)
        if len(self._queue) + sum(self._find(text) is None for text in different) > self._capacity:
            return None
        joined = [self._find(text) or self._append(text) for text in different]
        for wanted in joined:
            wanted.callers += 1
        return joined

    def leave(self, joined: Iterable[Wanted]) -> int:
        """Wait no longer; how many texts nobody wants now that have not been begun."""
        abandoned = 0
        for wanted in joined:
            wanted.callers -= 1
            if wanted.callers == 0 and self._queue.get(wanted.text) is wanted:
                del self._queue[wanted.text]
                abandoned += 1
        return abandoned

    def begin(self, texts: int, characters: int) -> list[Wanted]:
        """Take the oldest for the model: up to `texts` of up to `characters` together, one at least if any waits."""
        batch: list[Wanted] = []
        while self._queue and len(batch) < texts:
            text = next(iter(self._queue))
            characters -= len(text)
            if batch and characters < 0:
                break
            batch.append(self._queue.pop(text))
        self._running = {wanted.text: wanted for wanted in batch}
        return batch

    def end(self, over: Iterable[Wanted]) -> None:
        """Of what was begun, these are over; who asks for the same text again waits anew."""
        for wanted in over:
            del self._running[wanted.text]

    def forget(self) -> None:
        """All who wait now, begun or not, are answered, and then their texts are gone."""
        for wanted in (*self._running.values(), *self._queue.values()):
            wanted.memorable = False

    def drain(self, reason: Reason) -> None:
        """Tell all who wait, begun or not, that there will be no embedding."""
        for wanted in (*self._running.values(), *self._queue.values()):
            wanted.settle(reason)
        self._queue.clear()
        self._running.clear()

    def _find(self, text: str) -> Wanted | None:
        return self._running.get(text) or self._queue.get(text)

    def _append(self, text: str) -> Wanted:
        wanted = self._queue[text] = Wanted(text)
        return wanted

    def __repr__(self) -> str:
        return f"WaitingTexts({len(self._queue)}/{self._capacity}, {len(self._running)} begun)"
