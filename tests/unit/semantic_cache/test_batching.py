import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from libs.core.errors import MeshError, Reason
from services.semantic_cache.batching import BatchLimits, EmbeddingQueue
from services.semantic_cache.ports import Embedded
from tests.unit.semantic_cache.fakes import FakeModel, vector_of


class GatedModel(FakeModel):
    """Waits, in its thread, until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()

    def embed(self, texts: Sequence[str]) -> list[Embedded]:
        self.entered.set()
        assert self.gate.wait(10)
        return super().embed(texts)


@asynccontextmanager
async def running(model: FakeModel, limits: BatchLimits | None = None) -> AsyncIterator[EmbeddingQueue]:
    with ThreadPoolExecutor(1) as executor:
        queue = EmbeddingQueue(lambda: model, executor, limits or BatchLimits())
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(queue.run())
            while not queue.statistics().loaded:
                await asyncio.wait([work], timeout=0.001)
            yield queue
            work.cancel()


async def entered(model: GatedModel) -> None:
    await asyncio.get_running_loop().run_in_executor(None, model.entered.wait, 10)


async def test_texts_get_their_own_vectors_in_order() -> None:
    async with running(FakeModel()) as queue:
        embeddings = await queue.embed(["alpha", "beta", "alpha"])
    assert [each.vector.tolist() for each in embeddings] == [
        vector_of(text).tolist() for text in ("alpha", "beta", "alpha")
    ]


async def test_what_arrives_while_the_model_is_busy_goes_together() -> None:
    model = GatedModel()
    async with running(model, BatchLimits(batch=4)) as queue, asyncio.TaskGroup() as tasks:
        tasks.create_task(queue.embed(["first"]))
        await entered(model)
        for number in range(6):
            tasks.create_task(queue.embed([f"text {number}"]))
        await asyncio.wait([tasks.create_task(queue.check())])
        model.gate.set()
    assert [len(batch) for batch in model.batches] == [1, 4, 2]


async def test_the_same_text_is_read_once() -> None:
    model = GatedModel()
    async with running(model) as queue:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.embed(["first"]))
            await entered(model)
            for _ in range(5):
                tasks.create_task(queue.embed(["same"]))
            await asyncio.wait([tasks.create_task(queue.check())])
            model.gate.set()
        await queue.embed(["same"])
        assert queue.statistics().remembered_hits == 1
    assert model.batches == [["first"], ["same"]]


async def test_more_than_may_wait_is_refused() -> None:
    model = GatedModel()
    async with running(model, BatchLimits(waiting=2)) as queue:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.embed(["first"]))
            await entered(model)
            tasks.create_task(queue.embed(["second", "third"]))
            await asyncio.wait([tasks.create_task(queue.check())])
            with pytest.raises(MeshError) as raised:
                await queue.embed(["fourth"])
            model.gate.set()
        assert queue.statistics().refused == 1
        await queue.embed(["fourth"])
    assert raised.value.reason is Reason.OVERLOADED
    assert raised.value.retry_after is not None


async def test_whoever_gave_up_is_left_out() -> None:
    model = GatedModel()
    async with running(model) as queue, asyncio.TaskGroup() as tasks:
        tasks.create_task(queue.embed(["first"]))
        await entered(model)
        impatient = tasks.create_task(queue.embed(["impatient"]))
        tasks.create_task(queue.embed(["patient"]))
        await asyncio.wait([tasks.create_task(queue.check())])
        impatient.cancel()
        await asyncio.wait([impatient])
        model.gate.set()
    assert model.batches == [["first"], ["patient"]]


async def test_a_failed_batch_fails_its_callers_and_no_others() -> None:
    model = FakeModel()
    async with running(model) as queue:
        model.fails = True
        with pytest.raises(MeshError):
            await queue.embed(["one"])
        model.fails = False
        assert await queue.embed(["one"])


async def test_until_the_model_is_loaded_callers_are_sent_elsewhere() -> None:
    with ThreadPoolExecutor(1) as executor:
        queue = EmbeddingQueue(FakeModel, executor, BatchLimits())
        for call in (queue.check(), queue.embed(["text"])):
            with pytest.raises(MeshError) as raised:
                await call
            assert raised.value.reason is Reason.PEER_UNAVAILABLE


async def test_who_still_waits_at_the_end_is_told() -> None:
    model = GatedModel()
    async with asyncio.TaskGroup() as tasks:
        async with running(model) as queue:
            calls = [tasks.create_task(_reason_of(queue, text)) for text in ("first", "second")]
            await entered(model)
            model.gate.set()
            # Leaving the block cancels the queue; the thread may or may not have finished the first batch.
        assert {await call for call in calls} <= {None, Reason.DRAINING}


async def _reason_of(queue: EmbeddingQueue, text: str) -> Reason | None:
    try:
        await queue.embed([text])
    except MeshError as error:
        return error.reason
    return None


async def test_forgotten_texts_are_read_again() -> None:
    model = FakeModel()
    async with running(model, BatchLimits(remembered=1)) as queue:
        await queue.embed(["one"])
        await queue.embed(["two"])
        await queue.embed(["one"])
    assert model.batches == [["one"], ["two"], ["one"]]
