"""Embeddings in batches: texts that are wanted at the same time are read together, off the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason
from services.semantic_cache.embedding.recent import RecentTexts
from services.semantic_cache.embedding.waiting import Answer, WaitingTexts, Wanted
from services.semantic_cache.ports import Embedded, Embedder, EmbeddingModel

_OVERLOADED_RETRY_SECONDS: Final = 0.5
_LOADING_RETRY_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much is done and remembered at once."""

    batch: int = 32
    """Texts in one batch, at most."""
    characters: int = 8_192
    """Of one batch, at most, unless its only text is longer: a few long texts take as long as many short ones, and
    all who come meanwhile wait for them."""
    ready: int = 8
    """So many texts are a batch worth beginning at once: more would hardly make each cheaper."""
    linger: float = 0.002
    """Seconds that a free model waits, at most, for those it has just answered to come back."""
    waiting: int = 512
    """Texts that may wait; more are refused."""
    remembered_bytes: int = 16 * 1024 * 1024
    """For recent texts and their embeddings: some 7,000 short ones at 384 dimensions."""

    def __post_init__(self) -> None:
        sizes = (self.batch, self.characters, self.ready, self.waiting)
        if min(sizes) < 1 or self.ready > self.batch or self.linger < 0:
            raise ValueError(f"sizes must be at least 1, ready no more than batch, linger not negative: {self}")


class BatchStatistics(NamedTuple):
    """A snapshot of the queue."""

    loaded: bool
    waiting: int
    batches: int
    embedded: int
    """Texts the model has read."""
    remembered: int
    """Texts whose embeddings are remembered now."""
    remembered_hits: int
    """Texts the model did not have to read again."""
    abandoned: int
    """Texts that nobody wanted any more before the model came to them."""
    refused: int
    """Texts turned away because too many waited."""
    failed: int
    """Texts the model could not read."""


class EmbeddingQueue(Embedder):
    """A bounded queue before one model and its one thread.

    A batch begins when the model is free and anything waits. Only just after a batch the model lingers: callers who
    ask one text after the other come back within a moment of their answer, and begun at once, a batch would hold the
    fastest of them alone. It lingers until as many wait as were there before, `ready` at most, and no longer than
    `linger` after the last batch; a caller who is alone, and one who comes to an idle model, waits for nobody.

    A model that fails fails those who asked, and goes on. The texts of a batch that failed are read once more, each
    alone: one that the model cannot read takes the others nothing but time.

    Args:
        load: makes the model; runs in the thread, takes seconds.
        executor: one thread; the owner shuts it down.
        clock: times the lingering; its seconds must be the event loop's.
        limits: sizes.
    """

    def __init__(
        self, load: Callable[[], EmbeddingModel], executor: Executor, clock: Clock, limits: BatchLimits
    ) -> None:
        self._load: Final = load
        self._executor: Final = executor
        self._clock: Final = clock
        self._limits: Final = limits
        self._model: EmbeddingModel | None = None
        self._closed = False
        self._waiting: Final = WaitingTexts(limits.waiting)
        self._recent: Final = RecentTexts(limits.remembered_bytes)
        self._arrival: Final = asyncio.Event()
        self._linger_until = clock.monotonic()
        self._expected = 1
        self._batches = self._embedded = self._remembered_hits = self._abandoned = self._refused = self._failed = 0

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
        """One embedding per text, in their order. Whoever is cancelled while waiting costs the model nothing.

        Raises:
            MeshError: OVERLOADED if too many wait, PEER_UNAVAILABLE while the model is not loaded, DRAINING when it
                is no more, INTERNAL if it failed.
        """
        _ = self.model
        found: dict[str, Embedded] = {}
        for text in texts:
            if (remembered := self._recent.get(text)) is not None:
                found[text] = remembered
                self._remembered_hits += 1
        missing = [text for text in texts if text not in found]
        if missing:
            found |= await self._wait_for(missing)
        return [found[text] for text in texts]

    async def run(self) -> None:
        """Load the model and embed until cancelled; those who still wait then are told to ask elsewhere."""
        loop = asyncio.get_running_loop()
        try:
            model = self._model = await loop.run_in_executor(self._executor, self._load)
            while True:
                await self._assemble()
                # Empty if all gave up while the model lingered for more.
                if batch := self._waiting.begin(self._limits.batch, self._limits.characters):
                    await self._embed_batch(loop, model, batch)
        finally:
            self._closed = True
            self._waiting.drain(Reason.DRAINING)

    def forget(self) -> None:
        """Remember none of the texts that were asked for until now, those that still wait included."""
        self._recent.forget()
        self._waiting.forget()

    def statistics(self) -> BatchStatistics:
        """What happened so far."""
        return BatchStatistics(
            self._model is not None,
            len(self._waiting),
            self._batches,
            self._embedded,
            len(self._recent),
            self._remembered_hits,
            self._abandoned,
            self._refused,
            self._failed,
        )

    async def _wait_for(self, texts: Sequence[str]) -> dict[str, Embedded]:
        if self._closed:
            raise MeshError(Reason.DRAINING, retry_after=_OVERLOADED_RETRY_SECONDS)
        joined = self._waiting.join(texts)
        if joined is None:
            self._refused += len(texts)
            raise MeshError(Reason.OVERLOADED, retry_after=_OVERLOADED_RETRY_SECONDS)
        self._arrival.set()
        try:
            # Not gather, which would cancel answers that others wait for too.
            await asyncio.wait([wanted.answer for wanted in joined])
        finally:
            self._abandoned += self._waiting.leave(joined)
        return {wanted.text: _embedding(wanted.answer.result()) for wanted in joined}

    async def _assemble(self) -> None:
        await self._until_waiting(1)
        patience = self._linger_until - self._clock.monotonic()
        if patience > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._until_waiting(self._expected)

    async def _until_waiting(self, texts: int) -> None:
        while len(self._waiting) < texts:
            self._arrival.clear()
            await self._arrival.wait()

    async def _embed_batch(self, loop: asyncio.AbstractEventLoop, model: EmbeddingModel, batch: list[Wanted]) -> None:
        answers = await loop.run_in_executor(self._executor, _read, model, [wanted.text for wanted in batch])
        self._batches += 1
        if isinstance(answers, Reason) and len(batch) > 1:
            await self._embed_each(loop, model, batch, answers)
        else:
            self._settle(batch, answers)
        self._linger_until = self._clock.monotonic() + self._limits.linger
        self._expected = min(self._limits.ready, len(batch) + len(self._waiting))

    async def _embed_each(
        self, loop: asyncio.AbstractEventLoop, model: EmbeddingModel, batch: list[Wanted], reason: Reason
    ) -> None:
        for wanted in batch:
            alone: Sequence[Embedded] | Reason = reason
            # Whoever gave up meanwhile does not keep the others waiting.
            if wanted.callers:
                alone = await loop.run_in_executor(self._executor, _read, model, [wanted.text])
            self._settle([wanted], alone)

    def _settle(self, batch: Sequence[Wanted], answers: Sequence[Embedded] | Reason) -> None:
        self._waiting.end(batch)
        if isinstance(answers, Reason):
            self._failed += len(batch)
            for wanted in batch:
                wanted.settle(answers)
            return
        self._embedded += len(batch)
        for wanted, embedded in zip(batch, answers, strict=True):
            if wanted.memorable:
                self._recent.keep(wanted.text, embedded)
            wanted.settle(embedded)

    def __repr__(self) -> str:
        return f"EmbeddingQueue({self.statistics()})"


def _read(model: EmbeddingModel, texts: Sequence[str]) -> Sequence[Embedded] | Reason:
    try:
        found = model.embed(texts)
        return found if len(found) == len(texts) else Reason.INTERNAL
    except MeshError as error:
        return error.reason
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001  # a panic of Rust's, as in a tokenizer, is no Exception
        return Reason.INTERNAL


def _embedding(answer: Answer) -> Embedded:
    if isinstance(answer, Reason):
        raise MeshError(answer, retry_after=_OVERLOADED_RETRY_SECONDS)
    return answer
