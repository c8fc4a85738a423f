"""Whatever comes when, everybody gets the vectors of his own texts, and the limits hold."""

import asyncio
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.errors import Reason
from libs.testing.virtual_loop import run_virtual
from services.semantic_cache.embedding.queue import BatchLimits, BatchStatistics
from tests.unit.semantic_cache.embedding.desk import Desk, FakeModel, desk

_SECONDS = 0.010


class Caller(NamedTuple):
    comes_ms: int
    texts: tuple[str, ...]
    patience_ms: int


# Few different texts, so that they meet: waiting, being read and remembered.
texts = st.lists(st.text("abc", max_size=3), min_size=1, max_size=5).map(tuple)
callers = st.lists(st.builds(Caller, st.integers(0, 40), texts, st.sampled_from([1, 7, 15, 10_000])), max_size=25)
limits = st.builds(
    lambda batch, ready, characters, linger_ms, waiting, remembered: BatchLimits(
        batch, characters, min(ready, batch), linger_ms / 1000, waiting, remembered
    ),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 12),
    st.sampled_from([0, 2, 5]),
    st.integers(1, 12),
    st.sampled_from([0, 1_000, 100_000]),
)


async def _visit(running: Desk, caller: Caller) -> tuple[Reason | str | None, float]:
    await running.clock.sleep(caller.comes_ms / 1000)
    begun = running.clock.monotonic()
    try:
        async with asyncio.timeout(caller.patience_ms / 1000):
            fate: Reason | str | None = await running.fate(*caller.texts)
    except TimeoutError:
        fate = "gave up"
    return fate, running.clock.monotonic() - begun


@settings(max_examples=150, deadline=None)
@given(callers, limits)
def test_everybody_gets_his_own(visitors: list[Caller], limits: BatchLimits) -> None:
    async def scene() -> tuple[list[tuple[Reason | str | None, float]], FakeModel, BatchStatistics]:
        async with desk(limits, seconds=_SECONDS) as running:
            async with asyncio.TaskGroup() as tasks:
                visits = [tasks.create_task(_visit(running, caller)) for caller in visitors]
            # What was begun for those who gave up.
            await running.clock.sleep(1)
            return [visit.result() for visit in visits], running.model, running.queue.statistics()

    fates, model, statistics = run_virtual(scene())
    for caller, (fate, took) in zip(visitors, fates, strict=True):
        # That served callers got their own vectors is asserted where they ask.
        assert fate in (None, Reason.OVERLOADED, "gave up")
        assert fate != Reason.OVERLOADED or took == 0
        if caller.patience_ms == 10_000:
            # At worst every text that may wait, and the batch before, each alone and after the longest lingering.
            assert fate != "gave up"
            assert took <= (limits.waiting + 1) * (_SECONDS + limits.linger) + 1e-6
    for batch in model.batches:
        assert 1 <= len(batch) <= limits.batch
        assert len(set(batch)) == len(batch)
        assert len(batch) == 1 or sum(map(len, batch)) <= limits.characters
    assert statistics.waiting == 0
    assert statistics.embedded == sum(map(len, model.batches))
    if limits.remembered_bytes == 100_000:
        read = [text for batch in model.batches for text in batch]
        assert len(set(read)) == len(read)


@settings(max_examples=100, deadline=None)
@given(callers, limits)
def test_a_text_that_cannot_be_read_costs_the_others_nothing_but_time(
    visitors: list[Caller], limits: BatchLimits
) -> None:
    async def scene() -> list[tuple[Reason | str | None, float]]:
        async with desk(limits, seconds=_SECONDS) as running:
            running.model.failure, running.model.unreadable = TypeError(), frozenset({"b"})
            async with asyncio.TaskGroup() as tasks:
                visits = [tasks.create_task(_visit(running, caller)) for caller in visitors]
            await running.clock.sleep(1)
            # Whatever was remembered meanwhile is right, also of those who gave up.
            for text in {text for caller in visitors for text in caller.texts} - {"b"}:
                await running.ask(text)
            return [visit.result() for visit in visits]

    for caller, (fate, _) in zip(visitors, run_virtual(scene()), strict=True):
        assert fate in (Reason.INTERNAL if "b" in caller.texts else None, Reason.OVERLOADED, "gave up")
        assert fate != "gave up" or caller.patience_ms < 10_000
