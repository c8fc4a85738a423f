"""Every turn is counted once, however it ends, and its log line says what happened without what was said."""

from contextlib import aclosing

import pytest

from libs.core.errors import MeshError, Reason
from services.conversation.accounting import AccountedTurns
from services.conversation.turn import Answer, TextPart
from tests.unit.conversation.fakes import FakeUsages
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
