"""Calls at a fixed rate, whether or not the earlier ones were answered: a slow answer slows nobody down."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc


@dataclass(frozen=True, slots=True)
class Answer:
    """How one call ended."""

    due: float
    """Seconds after the start at which it was to be made."""
    seconds: float
    """From then until its end: a caller that came late counts as waiting."""
    late: float
    """Seconds from when it was due until it was made: what the caller's own machine did to it."""
    code: grpc.StatusCode


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that is done at an instant of the schedule."""

    due: float
    """Seconds after the start."""
    act: Callable[[], None]


async def open_loop(
    call: Callable[[], Awaitable[object]], rate: float, seconds: float, happenings: Sequence[Happening] = ()
) -> list[Answer]:
    """Make `rate` calls a second for `seconds`, and have `happenings` happen meanwhile; every call's end."""
    answers: list[Answer] = []
    loop = asyncio.get_running_loop()

    async def one(due: float) -> None:
        code = grpc.StatusCode.OK
        late = time.perf_counter() - started - due
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            code = error.code()
        answers.append(Answer(due, time.perf_counter() - started - due, late, code))

    started = time.perf_counter()
    timers = [loop.call_later(happening.due, happening.act) for happening in happenings]
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(round(rate * seconds)):
                due = number / rate
                await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
                group.create_task(one(due))
    finally:
        for timer in timers:
            timer.cancel()
    return answers
