"""An embedding queue whose model takes virtual time and whose callers can be watched."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from libs.core.errors import MeshError, Reason
from libs.testing.virtual_loop import LoopClock
from services.semantic_cache.embedding.queue import BatchLimits, EmbeddingQueue
from services.semantic_cache.ports import Embedded, EmbeddingModel

P = ParamSpec("P")
T = TypeVar("T")
DIMENSION = 8


def vector_of(text: str) -> NDArray[np.float32]:
    """Another one for every text."""
    digest = blake2b(text.encode(), digest_size=4 * DIMENSION).digest()
    numbers = np.frombuffer(digest, np.uint32).astype(np.float32) + 1
    unit: NDArray[np.float32] = numbers / np.float32(np.linalg.norm(numbers))
    return unit


class FakeModel(EmbeddingModel):
    """Remembers what it was given to read."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failure: BaseException | None = None
        self.unreadable: frozenset[str] = frozenset()
        """Texts that make the whole batch fail; any, if there are none."""

    @property
    def name(self) -> str:
        return "fake"

    @property
    def dimension(self) -> int:
        return DIMENSION

    def embed(self, texts: Sequence[str]) -> list[Embedded]:
        self.batches.append(list(texts))
        if self.failure is not None and (not self.unreadable or not self.unreadable.isdisjoint(texts)):
            raise self.failure
        return [Embedded(vector_of(text), True) for text in texts]


class SlowExecutor(Executor):
    """Does one thing at a time, each in `seconds` of the event loop's time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._free_at = 0.0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        loop = asyncio.get_running_loop()
        future: Future[T] = Future()

        def do() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # as a thread's pool does
                future.set_exception(error)
            else:
                future.set_result(result)

        self._free_at = max(self._free_at, loop.time()) + self._seconds
        loop.call_at(self._free_at, lambda: do() if future.set_running_or_notify_cancel() else None)
        return future


@dataclass(frozen=True, slots=True)
class Desk:
    """A running queue and its model."""

    queue: EmbeddingQueue
    model: FakeModel
    clock: LoopClock

    async def ask(self, *texts: str) -> float:
        """Embed, check that the vectors are the texts' own, and tell how many seconds it took."""
        begun = self.clock.monotonic()
        embeddings = await self.queue.embed(texts)
        assert [each.vector.tolist() for each in embeddings] == [vector_of(text).tolist() for text in texts]
        return self.clock.monotonic() - begun

    async def fate(self, *texts: str) -> Reason | None:
        """Why `ask` failed, if it did."""
        try:
            await self.ask(*texts)
        except MeshError as error:
            return error.reason
        return None


@asynccontextmanager
async def desk(limits: BatchLimits | None = None, *, seconds: float = 0.010) -> AsyncIterator[Desk]:
    """A queue with a loaded model that takes `seconds` for every batch."""
    clock, model = LoopClock(asyncio.get_running_loop()), FakeModel()
    queue = EmbeddingQueue(lambda: model, SlowExecutor(seconds), clock, limits or BatchLimits())
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(queue.run())
        await clock.sleep(seconds + 1)
        yield Desk(queue, model, clock)
        work.cancel()
