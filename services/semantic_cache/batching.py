"""Embeddings in batches: texts that arrive while the model is busy are embedded together, off the event loop."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, NamedTuple

from libs.core.errors import MeshError, Reason
from services.semantic_cache.ports import Embedded, Embedder, EmbeddingModel

_OVERLOADED_RETRY_SECONDS: Final = 0.5
_LOADING_RETRY_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much is done and remembered at once."""

    batch: int = 32
    """Texts in one batch, at most, unless a single request brings more."""
    waiting: int = 512
    """Texts that may wait; more are refused."""
    remembered: int = 2_048
    """Recent texts whose embeddings are kept."""


class BatchStatistics(NamedTuple):
    """A snapshot of the queue."""

    loaded: bool
    waiting: int
    batches: int
    embedded: int
    """Texts the model has read."""
    remembered_hits: int
    """Texts it did not have to read again."""
    refused: int
    """Texts turned away because too many waited."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    texts: tuple[str, ...]
    future: "asyncio.Future[list[Embedded]]"


class EmbeddingQueue(Embedder):
    """A bounded queue before one model and its one thread.

    A batch starts as soon as the model is free and takes all that waits, up to the limit: nobody waits for company,
    and batches grow by themselves under load.

    Args:
        load: makes the model; runs in the thread, takes seconds.
        executor: one thread; the owner shuts it down.
        limits: sizes.
    """

    def __init__(self, load: Callable[[], EmbeddingModel], executor: Executor, limits: BatchLimits) -> None:
        self._load: Final = load
        self._executor: Final = executor
        self._limits: Final = limits
        self._model: EmbeddingModel | None = None
        self._queue: deque[_Waiting] = deque()
        self._waiting = 0
        self._arrival: Final = asyncio.Event()
        self._remembered: OrderedDict[str, Embedded] = OrderedDict()
        self._batches = self._embedded = self._remembered_hits = self._refused = 0

    @property
    def model(self) -> EmbeddingModel:
        """The model; PEER_UNAVAILABLE while it is not loaded."""
        if self._model is None:
            raise MeshError(
                Reason.PEER_UNAVAILABLE, "The embedding model is being loaded.", retry_after=_LOADING_RETRY_SECONDS
            )
        return self._model

    async def check(self) -> None:
        """Return if the model is loaded, else raise PEER_UNAVAILABLE."""
        _ = self.model

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """One embedding per text, in their order."""
        _ = self.model
        known = [self._recall(text) for text in texts]
        missing = tuple(text for text, embedded in zip(texts, known, strict=True) if embedded is None)
        fresh = iter(await self._enqueue(missing) if missing else ())
        return [embedded if embedded is not None else next(fresh) for embedded in known]

    async def run(self) -> None:
        """Load the model and embed until cancelled; those who still wait then are told to ask elsewhere."""
        loop = asyncio.get_running_loop()
        try:
            if self._model is None:
                self._model = await loop.run_in_executor(self._executor, self._load)
            while True:
                await self._arrival.wait()
                batch = self._next_batch()
                if batch:
                    await self._embed_batch(loop, self._model, batch)
                else:
                    self._arrival.clear()
        finally:
            _fail(self._queue, Reason.DRAINING)
            self._queue.clear()
            self._waiting = 0

    def statistics(self) -> BatchStatistics:
        """What happened so far."""
        return BatchStatistics(
            self._model is not None,
            self._waiting,
            self._batches,
            self._embedded,
            self._remembered_hits,
            self._refused,
        )

    def _enqueue(self, texts: tuple[str, ...]) -> "asyncio.Future[list[Embedded]]":
        if self._waiting + len(texts) > self._limits.waiting:
            self._refused += len(texts)
            raise MeshError(Reason.OVERLOADED, retry_after=_OVERLOADED_RETRY_SECONDS)
        future: asyncio.Future[list[Embedded]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(texts, future))
        self._waiting += len(texts)
        self._arrival.set()
        return future

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].texts) <= self._limits.batch):
            waiting = self._queue.popleft()
            self._waiting -= len(waiting.texts)
            if not waiting.future.cancelled():
                batch.append(waiting)
                size += len(waiting.texts)
        return batch

    async def _embed_batch(self, loop: asyncio.AbstractEventLoop, model: EmbeddingModel, batch: list[_Waiting]) -> None:
        texts = list(dict.fromkeys(text for waiting in batch for text in waiting.texts))
        try:
            results = await loop.run_in_executor(self._executor, model.embed, texts)
        except MeshError as error:
            _fail(batch, error.reason)
            return
        except asyncio.CancelledError:
            _fail(batch, Reason.DRAINING)
            raise
        self._batches += 1
        self._embedded += len(texts)
        found = dict(zip(texts, results, strict=True))
        for waiting in batch:
            if not waiting.future.done():
                waiting.future.set_result([found[text] for text in waiting.texts])
        self._remember(found)

    def _recall(self, text: str) -> Embedded | None:
        embedded = self._remembered.get(text)
        if embedded is not None:
            self._remembered.move_to_end(text)
            self._remembered_hits += 1
        return embedded

    def _remember(self, found: dict[str, Embedded]) -> None:
        self._remembered.update(found)
        while len(self._remembered) > self._limits.remembered:
            self._remembered.popitem(last=False)

    def __repr__(self) -> str:
        return f"EmbeddingQueue({self.statistics()})"


def _fail(batch: "Sequence[_Waiting] | deque[_Waiting]", reason: Reason) -> None:
    for waiting in batch:
        if not waiting.future.done():
            # One exception each: raised in several tasks, a shared one would collect all their tracebacks.
            waiting.future.set_exception(MeshError(reason, retry_after=_OVERLOADED_RETRY_SECONDS))
