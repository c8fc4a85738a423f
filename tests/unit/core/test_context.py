import asyncio

import pytest

from libs.core import context
from libs.core.context import RequestContext
from libs.core.deadline import Deadline
from libs.testing.clock import ManualClock


def request_context(traceparent: str = "") -> RequestContext:
    return RequestContext(Deadline.after(1.0, ManualClock()), traceparent)


def test_outside_of_a_request_there_is_none() -> None:
    assert context.current() is None
    with pytest.raises(LookupError):
        context.require()


def test_a_scope_ends_where_its_block_ends() -> None:
    request = request_context()

    with context.scope(request):
        assert context.require() is request
    assert context.current() is None


async def test_tasks_inherit_the_request_but_cannot_change_their_siblings() -> None:
    outer, inner = request_context(), request_context()
    seen: list[RequestContext | None] = []

    async def enters() -> None:
        context.enter(inner)
        seen.append(context.current())

    async def reads() -> None:
        seen.append(context.current())

    with context.scope(outer):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(enters())
            tasks.create_task(reads())

    assert seen == [inner, outer]


def test_the_trace_id_is_cut_from_the_traceparent() -> None:
    assert request_context(f"00-{'a' * 32}-{'b' * 16}-01").trace_id == "a" * 32
    assert request_context().trace_id == ""
