import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from libs.core.errors import MeshError, Reason
from libs.testing.virtual_loop import LoopClock, run_virtual
from services.semantic_cache.embedding.queue import BatchLimits, EmbeddingQueue
from services.semantic_cache.ports import Embedded
from tests.unit.semantic_cache.embedding.desk import Desk, FakeModel, SlowExecutor, desk


def at_desk(
    scene: Callable[[Desk], Awaitable[None]], limits: BatchLimits | None = None, *, seconds: float = 0.010
) -> FakeModel:
    """Play a scene in virtual time; returns the model that was asked."""

    async def play() -> FakeModel:
        async with desk(limits, seconds=seconds) as running:
            await scene(running)
        return running.model

    return run_virtual(play())


def test_texts_get_their_own_vectors_in_order() -> None:
    async def scene(running: Desk) -> None:
        await running.ask("alpha", "beta", "alpha")

    assert at_desk(scene).batches == [["alpha", "beta"]]


def test_nothing_is_asked_of_the_model_for_no_texts() -> None:
    async def scene(running: Desk) -> None:
        assert await running.queue.embed([]) == []

    assert at_desk(scene).batches == []


def test_what_comes_while_the_model_is_busy_goes_together() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.ask("first"))
            await running.clock.sleep(0.005)
            for number in range(6):
                tasks.create_task(running.ask(f"text {number}"))

    assert [len(batch) for batch in at_desk(scene, BatchLimits(batch=4, ready=4)).batches] == [1, 4, 2]


def test_a_caller_who_is_alone_waits_for_nobody() -> None:
    async def scene(running: Desk) -> None:
        for number in range(5):
            assert await running.ask(f"text {number}") == pytest.approx(0.010, abs=1e-6)

    at_desk(scene)


def test_whoever_comes_to_an_idle_model_waits_for_nobody_even_after_a_crowd() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                tasks.create_task(running.ask(f"crowd {number}"))
        await running.clock.sleep(0.003)
        assert await running.ask("late") == pytest.approx(0.010, abs=1e-6)

    at_desk(scene)


async def _caller(running: Desk, name: str, away: float, rounds: int) -> None:
    for number in range(rounds):
        await running.ask(f"{name} {number}")
        await running.clock.sleep(away)


def test_callers_who_come_back_one_after_the_other_are_read_together() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            for name in range(8):
                # Each a little later than the one before, as over a network.
                tasks.create_task(_caller(running, f"caller {name}", 0.0001 * (name + 1), 10))

    batches = at_desk(scene).batches
    # Eight callers, ten texts each: ten batches and a few at the ends, where not all take part.
    assert len(batches) <= 13
    assert sorted(text for batch in batches for text in batch) == sorted(
        f"caller {name} {number}" for name in range(8) for number in range(10)
    )


def test_the_model_lingers_no_longer_than_it_may() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(4):
                tasks.create_task(running.ask(f"crowd {number}"))
        # The crowd stays away; the one who comes back waits out the rest of the lingering, then his own batch.
        await running.clock.sleep(0.0005)
        assert await running.ask("back") == pytest.approx(0.0115, abs=1e-6)
        # It has learned that he is alone.
        assert await running.ask("again") == pytest.approx(0.010, abs=1e-6)

    at_desk(scene, BatchLimits(linger=0.002))


def test_enough_texts_end_the_lingering() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(4):
                tasks.create_task(running.ask(f"crowd {number}"))
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(running.ask(f"again {number}")) for number in range(3)]
        assert [task.result() for task in asked] == [pytest.approx(0.010, abs=1e-6)] * 3

    at_desk(scene, BatchLimits(ready=3))


def test_a_few_long_texts_do_not_go_with_many_short_ones() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.ask("first"))
            await running.clock.sleep(0.005)
            for text in ("a" * 60, "b" * 60, "c", "d", "e" * 300, "f"):
                tasks.create_task(running.ask(text))

    lengths = [[len(text) for text in batch] for batch in at_desk(scene, BatchLimits(characters=100)).batches]
    assert lengths == [[5], [60], [60, 1, 1], [300], [1]]


def test_the_same_text_is_read_once() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            # One waits for the model, one joins while it waits, one while it is read.
            tasks.create_task(running.ask("same"))
            tasks.create_task(running.ask("other", "same"))
            await running.clock.sleep(0.005)
            tasks.create_task(running.ask("same"))
        assert await running.ask("same") == 0.0
        assert running.queue.statistics().remembered_hits == 1

    assert at_desk(scene).batches == [["same", "other"]]


def test_forgotten_texts_are_read_again() -> None:
    async def scene(running: Desk) -> None:
        for text in ("one", "two", "one"):
            await running.ask(text)

    assert at_desk(scene, BatchLimits(remembered_bytes=500)).batches == [["one"], ["two"], ["one"]]


def test_after_forgetting_no_text_is_left_not_even_one_that_was_being_read() -> None:
    async def scene(running: Desk) -> None:
        await running.ask("remembered")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.ask("being read"))
            await running.clock.sleep(0.005)
            tasks.create_task(running.ask("waiting"))
            await running.clock.sleep(0)
            running.queue.forget()
            assert running.queue.statistics().remembered == 0
        assert running.queue.statistics().remembered == 0
        await running.ask("later")
        assert running.queue.statistics().remembered == 1

    at_desk(scene)


def test_more_than_may_wait_is_refused_and_known_texts_are_not() -> None:
    async def scene(running: Desk) -> None:
        await running.ask("known")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.ask("first"))
            await running.clock.sleep(0.005)
            tasks.create_task(running.ask("second", "third"))
            await running.clock.sleep(0)
            with pytest.raises(MeshError) as raised:
                await running.queue.embed(["fourth"])
            # Neither costs the model anything.
            await running.ask("known", "second")
        assert running.queue.statistics().refused == 1
        await running.ask("fourth")
        assert raised.value.reason is Reason.OVERLOADED
        assert raised.value.retry_after is not None

    at_desk(scene, BatchLimits(waiting=2))


def test_a_text_that_is_asked_for_twice_takes_one_place() -> None:
    async def scene(running: Desk) -> None:
        await running.ask("twice", "twice")

    assert at_desk(scene, BatchLimits(waiting=1)).batches == [["twice"]]


def test_whoever_gave_up_is_left_out() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.ask("first"))
            await running.clock.sleep(0.005)
            impatient = tasks.create_task(running.ask("impatient", "both"))
            tasks.create_task(running.ask("both", "patient"))
            await running.clock.sleep(0)
            impatient.cancel()
        assert running.queue.statistics().abandoned == 1

    assert at_desk(scene).batches == [["first"], ["both", "patient"]]


def test_one_who_gives_up_takes_nothing_from_those_who_want_the_same() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            impatient = tasks.create_task(running.ask("same"))
            tasks.create_task(running.ask("same"))
            await running.clock.sleep(0.005)
            impatient.cancel()

    assert at_desk(scene).batches == [["same"]]


def test_a_model_that_all_gave_up_on_while_it_lingered_goes_on() -> None:
    async def scene(running: Desk) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(4):
                tasks.create_task(running.ask(f"crowd {number}"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await running.ask("impatient")
        await running.clock.sleep(1)
        await running.ask("later")

    assert [len(batch) for batch in at_desk(scene).batches] == [4, 1]


def test_a_failed_batch_fails_its_callers_and_no_others() -> None:
    async def scene(running: Desk) -> None:
        running.model.failure = MeshError(Reason.INTERNAL)
        async with asyncio.TaskGroup() as tasks:
            fates = [tasks.create_task(running.fate("one")), tasks.create_task(running.fate("one", "two"))]
        assert [fate.result() for fate in fates] == [Reason.INTERNAL] * 2
        running.model.failure = None
        assert await running.fate("one") is None
        assert running.queue.statistics().failed == 2

    at_desk(scene)


class Panic(BaseException):
    """What a library in Rust raises when it panics is no Exception."""


@pytest.mark.parametrize("failure", [TypeError(), MemoryError(), StopIteration(), ZeroDivisionError(), Panic()])
def test_no_failure_of_the_model_ends_the_queue(failure: BaseException) -> None:
    async def scene(running: Desk) -> None:
        running.model.failure = failure
        assert await running.fate("one") is Reason.INTERNAL
        assert await running.fate("two", "three") is Reason.INTERNAL
        running.model.failure = None
        assert await running.fate("one", "two", "three") is None

    at_desk(scene)


def test_a_model_that_answers_too_little_has_failed() -> None:
    class Forgetful(FakeModel):
        def embed(self, texts: Sequence[str]) -> list[Embedded]:
            return super().embed(texts)[1:]

    async def scene() -> None:
        clock = LoopClock(asyncio.get_running_loop())
        queue = EmbeddingQueue(Forgetful, SlowExecutor(0.010), clock, BatchLimits())
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(queue.run())
            await clock.sleep(1)
            for _ in range(2):
                with pytest.raises(MeshError) as raised:
                    await queue.embed(["one", "two"])
                assert raised.value.reason is Reason.INTERNAL
            work.cancel()

    run_virtual(scene())


@pytest.mark.parametrize("failure", [MeshError(Reason.INTERNAL), TypeError()])
def test_a_text_that_cannot_be_read_fails_no_others(failure: Exception) -> None:
    async def scene(running: Desk) -> None:
        running.model.failure, running.model.unreadable = failure, frozenset({"bad"})
        async with asyncio.TaskGroup() as tasks:
            fates = [tasks.create_task(running.fate(text)) for text in ("one", "bad", "two")]
        assert [fate.result() for fate in fates] == [None, Reason.INTERNAL, None]
        # What was read is remembered.
        assert await running.ask("one", "two") == 0.0
        statistics = running.queue.statistics()
        assert (statistics.embedded, statistics.failed) == (2, 1)

    assert at_desk(scene).batches == [["one", "bad", "two"], ["one"], ["bad"], ["two"]]


def test_whoever_gave_up_on_a_batch_that_failed_is_not_read_again_and_may_come_back() -> None:
    async def scene(running: Desk) -> None:
        running.model.failure, running.model.unreadable = TypeError(), frozenset({"bad"})
        async with asyncio.TaskGroup() as tasks:
            patient = tasks.create_task(running.fate("patient"))
            impatient = tasks.create_task(running.ask("impatient"))
            bad = tasks.create_task(running.fate("bad"))
            await running.clock.sleep(0.005)
            impatient.cancel()
            # The batch has failed, the first was read alone, and now the last is.
            await running.clock.sleep(0.020)
            assert patient.result() is None
            assert not bad.done()
            await running.ask("impatient")
        assert bad.result() is Reason.INTERNAL

    assert at_desk(scene).batches == [["patient", "impatient", "bad"], ["patient"], ["bad"], ["impatient"]]


def test_until_the_model_is_loaded_callers_are_sent_elsewhere() -> None:
    async def scene() -> None:
        queue = EmbeddingQueue(FakeModel, SlowExecutor(1), LoopClock(asyncio.get_running_loop()), BatchLimits())
        for call in (queue.check(), queue.embed(["text"])):
            with pytest.raises(MeshError) as raised:
                await call
            assert raised.value.reason is Reason.PEER_UNAVAILABLE

    run_virtual(scene())


def test_who_waits_at_the_end_and_who_comes_after_it_are_told() -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as tasks, desk(BatchLimits(batch=1, ready=1)) as running:
            fates = [tasks.create_task(running.fate(text)) for text in ("first", "second")]
            await running.clock.sleep(0.005)
        assert [fate.result() for fate in fates] == [Reason.DRAINING] * 2
        assert await running.fate("third") is Reason.DRAINING

    run_virtual(scene())


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"ready": 33}, {"linger": -1.0}, {"waiting": 0}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BatchLimits(**wrong)
