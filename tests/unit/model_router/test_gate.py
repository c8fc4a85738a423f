import asyncio

import pytest

from libs.core.clock import SystemClock
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from services.model_router.gate import Gate


def in_a_minute() -> Deadline:
    # Not a constant: collecting the tests may be longer ago than that.
    return Deadline.after(60.0, SystemClock())


async def test_who_waits_is_let_in_when_another_leaves() -> None:
    gate = Gate(1, max_wait=60.0)
    await gate.enter(in_a_minute())
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(gate.enter(in_a_minute()))
        tasks.create_task(_leave(gate))
    assert waiting.done()
    assert gate.statistics() == (1, 0)


async def _leave(gate: Gate) -> None:
    gate.leave()


async def test_nobody_waits_beyond_their_deadline() -> None:
    gate = Gate(1, max_wait=60.0)
    await gate.enter(in_a_minute())
    with pytest.raises(MeshError) as caught:
        await gate.enter(Deadline.after(0.0, SystemClock()))
    assert caught.value.reason is Reason.OVERLOADED
    assert repr(gate) == "Gate(1/1, 1 shed)"


@pytest.mark.parametrize(("limit", "wait"), [(0, 1.0), (1, -1.0)])
def test_nonsense_is_refused(limit: int, wait: float) -> None:
    with pytest.raises(ValueError, match="limit must be positive"):
        Gate(limit, wait)
