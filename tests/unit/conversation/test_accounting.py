"""Every turn is counted once, however it ends, and its log line says what happened without what was said."""

import asyncio
from contextlib import aclosing

import pytest

from libs.core.errors import MeshError, Reason
from services.conversation.accounting import AccountedTurns
from services.conversation.turn import Answer, TextPart
from tests.unit.conversation.fakes import FakeModels, FakeUsages
from tests.unit.conversation.world import World, ask


class Bench:
    def __init__(self) -> None:
        self.world = World()
        self.usages = FakeUsages()
        self.turns = AccountedTurns(self.world.runner(), self.usages, self.world.clock)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_answered_turn_is_counted_with_its_report(bench: Bench) -> None:
    with bench.world.request() as context:
        events = [event async for event in bench.turns.run(ask())]
    answer = events[-1]
    assert isinstance(answer, Answer)
    assert [outcome.report for outcome in bench.usages.outcomes] == [answer.report]
    assert context.log_fields["route"] == "MODEL"
    said = {"Hi?", "Hello there", "Hello", " there"}
    assert said.isdisjoint(str(value) for value in context.log_fields.values())


async def test_a_caller_that_stops_at_the_answer_has_still_had_it(bench: Bench) -> None:
    with bench.world.request():
        async with aclosing(bench.turns.run(ask())) as events:
            async for event in events:
                if isinstance(event, Answer):
                    break
    assert [outcome.error_reason for outcome in bench.usages.outcomes] == [""]


async def test_a_failed_and_an_abandoned_turn_say_why(bench: Bench) -> None:
    with bench.world.request():
        async with aclosing(bench.turns.run(ask())) as events:
            assert await anext(events) == TextPart("Hello")
        bench.world.models.fault = MeshError(Reason.MODEL_UNAVAILABLE)
        with pytest.raises(MeshError):
            await anext(bench.turns.run(ask()))
    assert [outcome.error_reason for outcome in bench.usages.outcomes] == ["CANCELLED", "MODEL_UNAVAILABLE"]


async def test_a_bug_of_ours_is_not_taken_for_a_caller_that_left(bench: Bench) -> None:
    class Broken(FakeModels):
        def called(self, name: str) -> None:
            raise ZeroDivisionError

    bench.world.models = Broken()
    turns = AccountedTurns(bench.world.runner(), bench.usages, bench.world.clock)
    with bench.world.request(), pytest.raises(ZeroDivisionError):
        await anext(turns.run(ask()))
    assert [outcome.error_reason for outcome in bench.usages.outcomes] == ["INTERNAL"]


async def test_a_cancelled_turn_is_one_that_was_left(bench: Bench) -> None:
    bench.world.models.gate = asyncio.Event()

    async def say() -> None:
        with bench.world.request():
            async with aclosing(bench.turns.run(ask())) as events:
                async for _ in events:
                    pass

    async with asyncio.TaskGroup() as group:
        turn = group.create_task(say())
        await bench.world.models.writing.wait()
        turn.cancel()
    assert [outcome.error_reason for outcome in bench.usages.outcomes] == ["CANCELLED"]
