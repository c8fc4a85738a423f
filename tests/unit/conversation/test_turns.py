"""What a caller of TurnRunner sees while all is well."""

import asyncio
from contextlib import aclosing

import pytest

from libs.core.errors import MeshError, Reason
from services.conversation.turn import Answer, CacheLayer, Role, Route, TextPart
from tests.unit.conversation.fakes import CONVERSATION, LEASE_SECONDS, OWNER, REQUEST_ID, USAGE
from tests.unit.conversation.world import World, answer_of, ask, other_id, text_of


@pytest.fixture
def world() -> World:
    return World()


async def test_a_fresh_answer_is_streamed_then_durable_then_given(world: World) -> None:
    events = await world.say()
    answer = answer_of(events)
    assert [event.text for event in events if isinstance(event, TextPart)] == ["Hello", " there"]
    assert (answer.message.content, answer.message.role) == ("Hello there", Role.ASSISTANT)
    assert (answer.report.route, answer.report.model, answer.report.usage) == (Route.MODEL, "model-a", USAGE)
    assert (answer.report.cost_usd_micros, answer.report.confidence) == (340, 1.0)
    assert answer.report.trace_id == "a" * 32
    assert world.history.turns[REQUEST_ID].answer == answer
    assert world.history.turns[REQUEST_ID].question.content == "Hi?"
    assert world.ledger.conversations[OWNER, CONVERSATION].turn_count == 1


async def test_a_fresh_answer_costs_no_more_calls_than_it_must(world: World) -> None:
    with world.request():
        async with aclosing(world.runner().run(ask())) as events:
            async for event in events:
                if isinstance(event, Answer):
                    break  # as a unary call does
    assert world.ledger.calls == ["begin", "finish"]
    assert (world.cache.calls, world.history.calls) == (["lookup"], ["append"])


async def test_an_exact_hit_asks_no_model_and_makes_no_task(world: World) -> None:
    await world.say()
    world.ledger.calls.clear()
    before = len(asyncio.all_tasks())
    seen = 0
    world.ledger.add(OWNER, "another")
    with world.request():
        async for event in world.runner().run(ask(request_id=other_id(1), conversation_id="another")):
            seen = max(seen, len(asyncio.all_tasks()))
            last = event
    assert isinstance(last, Answer)
    assert (last.report.route, last.report.cache_layer) == (Route.CACHE, CacheLayer.EXACT_REDIS)
    assert (last.report.cost_usd_micros, last.report.saved_usd_micros, last.report.usage.output_tokens) == (0, 340, 0)
    assert last.message.content == "Hello there"
    assert len(world.models.asked) == 1
    assert seen == before
    assert world.ledger.calls == ["begin", "finish"]
    assert len(world.cache.kept) == 1


async def test_a_cached_answer_longer_than_asked_for_is_not_given(world: World) -> None:
    await world.say()
    world.ledger.add(OWNER, "another")
    short = ask(request_id=other_id(1), conversation_id="another", max_tokens=USAGE.output_tokens - 1)
    await world.say(short)
    assert len(world.models.asked) == 2
    enough = ask(request_id=other_id(2), conversation_id="another", max_tokens=USAGE.output_tokens)
    world.ledger.fingerprints.clear()
    assert answer_of(await world.say(enough)).report.route is Route.CACHE


async def test_the_same_request_again_gets_the_same_answer_for_nothing(world: World) -> None:
    first = answer_of(await world.say())
    again = await world.say()
    assert answer_of(again) == first.as_replay()
    assert answer_of(again).report.replayed
    assert text_of(again) == "Hello there"
    assert len(world.models.asked) == 1
    assert world.ledger.conversations[OWNER, CONVERSATION].turn_count == 1


async def test_the_same_request_id_for_something_else_is_refused(world: World) -> None:
    await world.say()
    with pytest.raises(MeshError) as found:
        await world.say(ask("Something else?"))
    assert found.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_missing_conversation_is_not_found(world: World) -> None:
    with pytest.raises(MeshError) as found:
        await world.say(ask(conversation_id="missing"))
    assert found.value.reason is Reason.NOT_FOUND


async def test_two_callers_with_one_request_id_share_one_generation(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(world.say())
        await world.models.writing.wait()
        second = group.create_task(world.say())
        await world.clock.run(2.0)
        assert not second.done()
        world.models.gate.set()
        await world.clock.run(2.0)
    assert answer_of(second.result()) == answer_of(first.result()).as_replay()
    assert len(world.models.asked) == 1


async def test_who_cannot_wait_for_the_other_caller_is_told_when_to_come_back(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(world.say())
        await world.models.writing.wait()
        second = group.create_task(world.failure(timeout=0.04))
        await world.clock.run(0.1)
        assert second.result().reason is Reason.REQUEST_IN_PROGRESS
        assert second.result().retry_after == pytest.approx(LEASE_SECONDS)
        world.models.gate.set()
    assert answer_of(first.result()).message.content == "Hello there"


async def test_instructions_and_options_reach_the_model(world: World) -> None:
    world.ledger.add(OWNER, "instructed", "Be brief.")
    await world.say(ask("  Hi?\n", conversation_id="instructed", model="model-b", max_tokens=7))
    asked = world.models.asked[0]
    assert (asked.system_prompt, asked.options.model, asked.options.max_tokens) == ("Be brief.", "model-b", 7)
    assert asked.messages[-1].content == "Hi?"
    scopes = {entry.scope for entry in world.cache.kept}
    assert {scope.instructions_fingerprint for scope in scopes} != {""}


async def test_times_are_those_of_the_turn(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say())
        await world.models.writing.wait()
        await world.clock.run(1.5)
        world.models.gate.set()
    report = answer_of(turn.result()).report
    assert (report.time_to_first_text, report.duration) == (0.0, 1.5)
