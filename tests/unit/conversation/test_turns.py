"""What a caller of TurnRunner sees, whatever is down and whoever dies."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import replace

import pytest

from libs.core.errors import MeshError, Reason, invalid
from services.conversation.turn import Answer, CacheLayer, Role, Route, StopReason, TextPart
from tests.unit.conversation.fakes import (
    CONVERSATION,
    GENERATED,
    LEASE_SECONDS,
    OWNER,
    REQUEST_ID,
    USAGE,
    World,
    answer_of,
    ask,
    down,
    other_id,
    text_of,
)


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
    with pytest.raises(MeshError) as raised:
        await world.say(ask("Something else?"))
    assert raised.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_missing_conversation_is_not_found(world: World) -> None:
    with pytest.raises(MeshError) as raised:
        await world.say(ask(conversation_id="missing"))
    assert raised.value.reason is Reason.NOT_FOUND


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
        second = group.create_task(_failure(world, timeout=0.04))
        await world.clock.run(0.1)
        assert second.result().reason is Reason.REQUEST_IN_PROGRESS
        assert second.result().retry_after == pytest.approx(LEASE_SECONDS)
        world.models.gate.set()
    assert answer_of(first.result()).message.content == "Hello there"


async def test_without_the_cache_the_turn_is_degraded(world: World) -> None:
    world.cache.fault = down()
    answer = answer_of(await world.say())
    assert (answer.report.route, answer.report.degraded) == (Route.MODEL, ("semantic_cache",))


@pytest.mark.parametrize("reason", [Reason.INTERNAL, Reason.DEADLINE_TOO_SHORT, Reason.OVERLOADED, Reason.CANCELLED])
async def test_whatever_is_wrong_with_the_cache_is_not_the_callers_business(world: World, reason: Reason) -> None:
    world.cache.fault = MeshError(reason)
    assert answer_of(await world.say()).report.degraded == ("semantic_cache",)


async def test_a_cache_that_calls_our_request_wrong_has_found_a_bug(world: World) -> None:
    world.cache.fault = invalid("text", "is too long")
    assert (await _failure(world)).reason is Reason.INVALID_FIELD
    assert not world.ledger.held()


async def test_bypassing_the_cache_neither_reads_nor_writes_it(world: World) -> None:
    await world.say(ask(bypass_cache=True))
    assert world.cache.calls == []
    assert world.cache.kept == []


async def test_a_follow_up_reads_the_history_and_is_kept_for_its_user_alone(world: World) -> None:
    await world.say()
    await world.say(ask("And you?", other_id(1)))
    assert [said.content for said in world.models.asked[1].messages] == ["Hi?", "Hello there", "And you?"]
    assert [entry.scope.personal for entry in world.cache.kept] == [False, True]


async def test_without_the_context_the_turn_is_degraded_and_not_cached(world: World) -> None:
    await world.say()
    world.history.context_fault = down()
    answer = answer_of(await world.say(ask("And you?", other_id(1))))
    assert answer.report.degraded == ("memory",)
    assert [said.content for said in world.models.asked[1].messages] == ["And you?"]
    assert len(world.cache.kept) == 1


async def test_a_turn_that_waits_in_the_outbox_is_missing_from_the_context_and_that_is_said(world: World) -> None:
    world.history.append_fault = down()
    await world.say()
    world.history.append_fault = None
    answer = answer_of(await world.say(ask("And you?", other_id(1))))
    assert answer.report.degraded == ("memory",)
    assert len(world.cache.kept) == 1
    for turn in world.outbox.waiting:
        await world.history.append(turn)
    assert answer_of(await world.say(ask("Still there?", other_id(2)))).report.degraded == ()


async def test_when_memory_cannot_append_the_turn_waits_in_the_outbox(world: World) -> None:
    world.history.append_fault = down()
    answer = answer_of(await world.say())
    assert answer.report.degraded == ("memory",)
    assert [turn.answer.message for turn in world.outbox.waiting] == [answer.message]
    assert answer_of(await world.say()) == answer.as_replay()


async def test_what_is_nowhere_durable_is_not_acknowledged(world: World) -> None:
    world.history.append_fault = down()
    world.outbox.fault = MeshError(Reason.STORE_UNAVAILABLE)
    assert (await _failure(world)).reason is Reason.STORE_UNAVAILABLE
    assert not world.ledger.held()
    # The store is back, memory still is not: nobody is told anything but what was once staged.
    world.outbox.fault = None
    world.models.parts = ["Something", " else"]
    assert answer_of(await world.say()).message.content == "Hello there"
    assert len(world.models.asked) == 1


async def test_a_retry_after_the_outbox_gives_the_answer_that_memory_will_have(world: World) -> None:
    world.history.append_fault = down()
    world.ledger.finish_fault = MeshError(Reason.STORE_UNAVAILABLE)
    assert (await _failure(world)).reason is Reason.STORE_UNAVAILABLE
    world.ledger.finish_fault = None
    answer = answer_of(await world.say())
    assert {turn.answer.message for turn in world.outbox.waiting} == {answer.message}
    assert len(world.models.asked) == 1


async def test_a_retry_after_a_crash_finds_the_appended_turn(world: World) -> None:
    world.ledger.finish_fault = MeshError(Reason.STORE_UNAVAILABLE)
    assert (await _failure(world)).reason is Reason.STORE_UNAVAILABLE
    world.ledger.finish_fault = None
    answer = answer_of(await world.say())
    assert answer == world.history.turns[REQUEST_ID].answer
    assert len(world.models.asked) == 1
    assert world.history.calls.count("append") == 1


async def test_an_earlier_holder_that_had_kept_nothing_is_replaced(world: World) -> None:
    world.models.fault = down()
    assert (await _failure(world)).reason is Reason.PEER_UNAVAILABLE
    world.models.fault = None
    assert answer_of(await world.say()).message.content == "Hello there"


async def test_a_router_that_is_down_is_a_typed_error_and_the_claim_is_given_back(world: World) -> None:
    world.models.fault = MeshError(Reason.MODEL_UNAVAILABLE, retry_after=3.0)
    failure = await _failure(world)
    assert (failure.reason, failure.retry_after) == (Reason.MODEL_UNAVAILABLE, 3.0)
    assert not world.ledger.held()
    assert world.history.turns == {}


@pytest.mark.parametrize("reason", [Reason.MODEL_UNAVAILABLE, Reason.SPEND_LIMIT_REACHED, Reason.MODEL_BAD_RESPONSE])
async def test_a_configured_fallback_is_given_when_no_model_can_answer(reason: Reason) -> None:
    world = World(fallback_answer="Please try again later.")
    world.models.fault = MeshError(reason)
    events = await world.say()
    answer = answer_of(events)
    assert text_of(events) == answer.message.content == "Please try again later."
    assert (answer.report.route, answer.report.confidence) == (Route.FALLBACK, 0.0)
    assert answer.report.degraded == ("model_router",)
    assert world.cache.kept == []


async def test_a_wrong_request_gets_no_fallback() -> None:
    world = World(fallback_answer="Please try again later.")
    world.models.fault = MeshError(Reason.UNKNOWN_MODEL)
    assert (await _failure(world)).reason is Reason.UNKNOWN_MODEL


async def test_text_that_is_out_is_not_followed_by_a_fallback() -> None:
    world = World(fallback_answer="Please try again later.")
    world.models.broken = MeshError(Reason.MODEL_STREAM_BROKEN)
    assert (await _failure(world)).reason is Reason.MODEL_STREAM_BROKEN
    assert world.history.turns == {}


async def test_a_stream_that_ends_without_its_end_is_broken(world: World) -> None:
    world.models.end = None
    assert (await _failure(world)).reason is Reason.MODEL_STREAM_BROKEN


async def test_an_empty_answer_is_escalated(world: World) -> None:
    world.models.parts = ["  "]
    assert (await _failure(world)).reason is Reason.MODEL_BAD_RESPONSE
    with_fallback = World(fallback_answer="Ask a person.")
    with_fallback.models.parts = []
    answer = answer_of(await with_fallback.say())
    assert (answer.message.content, answer.report.route) == ("Ask a person.", Route.FALLBACK)
    assert answer.report.cost_usd_micros == GENERATED.cost_usd_micros


@pytest.mark.parametrize("stop", [StopReason.MAX_TOKENS, StopReason.REFUSAL, StopReason.STOP_SEQUENCE])
async def test_only_whole_answers_are_offered_to_the_cache(world: World, stop: StopReason) -> None:
    world.models.end = replace(GENERATED, stop_reason=stop)
    await world.say()
    assert world.cache.kept == []


async def test_closing_early_ends_the_generation_and_gives_the_claim_back(world: World) -> None:
    world.models.gate = asyncio.Event()
    with world.request():
        turn = world.runner().run(ask())
        assert await anext(turn) == TextPart("Hello")
        await turn.aclose()
    assert world.models.closed == 1
    assert not world.ledger.held()
    assert world.history.turns == {}


async def test_a_cancelled_caller_ends_the_generation_and_gives_the_claim_back(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say())
        await world.models.writing.wait()
        await world.clock.settle()
        turn.cancel()
    assert turn.cancelled()
    assert world.models.closed == 1
    assert not world.ledger.held()


async def test_a_slow_generation_keeps_its_claim(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say(timeout=600))
        await world.models.writing.wait()
        await world.clock.run(LEASE_SECONDS * 10)
        assert world.ledger.held()
        world.models.gate.set()
    assert answer_of(turn.result()).message.content == "Hello there"


async def test_a_store_that_is_away_for_a_moment_does_not_end_a_generation(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say(timeout=600))
        await world.models.writing.wait()
        world.ledger.fault = MeshError(Reason.STORE_UNAVAILABLE)
        await world.clock.run(LEASE_SECONDS)
        world.ledger.fault = None
        world.models.gate.set()
    assert answer_of(turn.result()).message.content == "Hello there"


async def test_a_lost_claim_ends_the_turn(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(_failure(world))
        await world.models.writing.wait()
        world.ledger.lose()
        await world.clock.run(LEASE_SECONDS)
    assert turn.result().reason is Reason.REQUEST_IN_PROGRESS
    assert world.models.closed == 1
    assert world.ledger.held()  # by somebody else


async def test_a_claim_that_is_lost_while_the_caller_is_slow_to_read_ends_the_turn(world: World) -> None:
    """The caller, not the runner, stands still when the claim goes: the failure must reach it all the same."""

    async def slow_reader() -> None:
        with world.request():
            async with aclosing(world.runner().run(ask())) as events:
                async for _ in events:
                    await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_raised(slow_reader()))
        await world.clock.settle()
        world.ledger.lose()
        await world.clock.run(LEASE_SECONDS)
    assert reading.result().reason is Reason.REQUEST_IN_PROGRESS
    assert world.models.closed == 1


async def test_another_holder_that_was_faster_decides_the_answer(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(world.say())
        await world.models.writing.wait()
        world.ledger.records[OWNER, REQUEST_ID].lease_until = 0.0
        world.models.gate.set()
        world.models.gate = None
        world.models.parts = ["Faster"]
        fast = answer_of(await world.say())
    assert fast.message.content in {"Faster", "Hello there"}
    assert answer_of(slow.result()).message == fast.message


async def test_a_conversation_that_was_deleted_meanwhile_is_not_found(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(_failure(world))
        await world.models.writing.wait()
        del world.ledger.conversations[OWNER, CONVERSATION]
        world.models.gate.set()
    assert turn.result().reason is Reason.NOT_FOUND


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


async def _failure(world: World, timeout: float = 60.0) -> MeshError:
    return await _raised(world.say(timeout=timeout))


async def _raised(work: Awaitable[object]) -> MeshError:
    with pytest.raises(MeshError) as raised:
        await work
    return raised.value
