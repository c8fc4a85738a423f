"""`agentmesh up` until a signal."""

import asyncio
import os
import signal

import pytest

from libs.cli.stack.process import StartError
from libs.cli.up import until_signalled
from libs.testing.clock import ManualClock


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_ends_the_block_which_cleans_up(number: signal.Signals) -> None:
    cleaned_up = False
    async with until_signalled():
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            # Draining takes its time: the signal ended the wait above, not those that follow.
            await ManualClock().settle()
            cleaned_up = True

    assert cleaned_up
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_failure_comes_out_as_it_is() -> None:
    async def start() -> None:
        async with until_signalled():
            raise StartError("auth-0 ended")

    with pytest.raises(StartError):
        await start()


async def test_a_timeout_of_the_block_is_no_signal() -> None:
    async def start() -> None:
        async with until_signalled():
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await start()


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    entered = asyncio.Event()

    async def start() -> None:
        async with until_signalled():
            entered.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(start())
        await entered.wait()
        task.cancel()

    assert task.cancelled()
