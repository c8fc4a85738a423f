import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from libs.core.errors import MeshError, Reason
from libs.core.money import UsdMicros
from services.model_router.attempt import Sink
from services.model_router.coalescer import Coalescer
from services.model_router.outcome import Generated, StopReason, Usage
from services.model_router.pacing import Piece, Work, paced
from tests.unit.model_router.fakes import VirtualClock

END = Generated("", "a", StopReason.END_TURN, Usage(), UsdMicros(0), (), 0.0)
Timed = list[tuple[float, str]]


def work(clock: VirtualClock, deltas: Sequence[tuple[float, str]], error: MeshError | None = None) -> Work:
    """Writes each text after its pause in seconds, then ends."""

    async def run(sink: Sink) -> Generated:
        for pause, text in deltas:
            if pause:
                await clock.sleep(pause)
            sink(text)
        if error is not None:
            raise error
        return END

    return run


async def read(clock: VirtualClock, job: Work, interval: float = 0.025) -> tuple[Timed, list[Piece]]:
    began = clock.now
    timed: Timed = []
    pieces: list[Piece] = []
    async with aclosing(paced(job, Coalescer(interval), clock)) as stream:
        async for piece in stream:
            timed.append((round(clock.now - began, 6), piece.text))
            pieces.append(piece)
    return timed, pieces


async def test_an_answer_that_comes_at_once_is_one_piece() -> None:
    clock = VirtualClock()
    timed, pieces = await read(clock, work(clock, [(0, "a"), (0, "b"), (0, "c")]))
    assert timed == [(0.0, "abc")]
    assert pieces == [Piece("abc", END)]


async def test_the_first_text_is_sent_at_once_and_a_burst_after_it_is_merged() -> None:
    clock = VirtualClock()
    deltas = [(0.1, "a"), (0.005, "b"), (0.005, "c"), (0.005, "d"), (1.0, "e"), (1.0, "f")]
    timed, pieces = await read(clock, work(clock, deltas))
    assert timed == [(0.1, "a"), (0.125, "bcd"), (1.115, "e"), (2.115, "f")]
    assert [piece.end for piece in pieces] == [None, None, None, END]


async def test_text_that_is_held_does_not_wait_once_the_answer_is_over() -> None:
    clock = VirtualClock()
    timed, pieces = await read(clock, work(clock, [(0.1, "a"), (0.001, "b")]), interval=10.0)
    assert timed == [(0.1, "a"), (0.101, "b")]
    assert pieces[-1].end == END


async def test_an_answer_without_text_has_an_end() -> None:
    clock = VirtualClock()
    _, pieces = await read(clock, work(clock, []))
    assert pieces == [Piece("", END)]


async def test_an_error_comes_after_the_text_before_it() -> None:
    clock = VirtualClock()
    broken = MeshError(Reason.MODEL_STREAM_BROKEN)
    async with aclosing(paced(work(clock, [(0.1, "a"), (0.001, "b")], broken), Coalescer(1.0), clock)) as stream:
        assert [(await anext(stream)).text, (await anext(stream)).text] == ["a", "b"]
        with pytest.raises(MeshError) as caught:
            await anext(stream)
    assert caught.value is broken


async def test_a_reader_that_leaves_cancels_the_work() -> None:
    clock = VirtualClock()
    cancelled = asyncio.Event()

    async def run(sink: Sink) -> Generated:
        sink("a")
        try:
            await clock.sleep(60.0)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return END

    async with aclosing(paced(run, Coalescer(0.025), clock)) as stream:
        assert (await anext(stream)).text == "a"
    assert cancelled.is_set()


async def test_a_slow_reader_gets_what_piled_up_as_one_piece() -> None:
    clock = VirtualClock()
    job = work(clock, [(0, "a")] + [(0.1, str(digit)) for digit in range(5)])
    got = []
    async with aclosing(paced(job, Coalescer(0.025), clock)) as stream:
        async for piece in stream:
            got.append(piece.text)
            await clock.sleep(10.0)
    assert got == ["a", "01234"]
