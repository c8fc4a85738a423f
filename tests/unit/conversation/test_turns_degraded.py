"""What a caller of TurnRunner sees while something is down, and after somebody died."""

from dataclasses import replace

import pytest

from libs.core.errors import MeshError, Reason, invalid
from services.conversation.turn import Route, StopReason
from tests.unit.conversation.fakes import CONVERSATION, GENERATED, REQUEST_ID, down
from tests.unit.conversation.world import World, answer_of, ask, other_id, text_of


@pytest.fixture
def world() -> World:
    return World()


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
    assert (await world.failure()).reason is Reason.INVALID_FIELD
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


@pytest.mark.parametrize(
    "reason", [Reason.EXPIRED_CREDENTIALS, Reason.MISSING_SCOPE, Reason.UNIMPLEMENTED, Reason.INTERNAL]
)
async def test_an_answer_that_was_paid_for_outlasts_whatever_memory_says_of_its_caller(
    world: World, reason: Reason
) -> None:
    world.history.append_fault = MeshError(reason)
    answer = answer_of(await world.say())
    assert answer.report.degraded == ("memory",)
    assert [turn.answer.message for turn in world.outbox.waiting] == [answer.message]


async def test_what_memory_will_never_take_does_not_go_to_the_outbox(world: World) -> None:
    world.history.append_fault = invalid("messages", "are wrong")
    assert (await world.failure()).reason is Reason.INVALID_FIELD
    assert world.outbox.waiting == []


async def test_a_turn_of_a_conversation_that_memory_has_deleted_is_not_acknowledged(world: World) -> None:
    world.history.deleted.add(CONVERSATION)
    assert (await world.failure()).reason is Reason.NOT_FOUND
    assert world.outbox.waiting == []
    assert not world.ledger.held()


async def test_what_memory_had_first_is_the_answer(world: World) -> None:
    # Two holders: one stood still after its append, the other wrote an answer of its own meanwhile.
    await world.say()
    first = world.history.turns[REQUEST_ID].answer
    world.ledger.records.clear()
    world.models.parts = ["Something", " else"]
    assert answer_of(await world.say()).message == first.message
    assert answer_of(await world.say()).message == first.message


async def test_a_turn_that_memory_has_but_cannot_show_is_tried_again_later(world: World) -> None:
    await world.say()
    world.ledger.records.clear()
    world.history.find_fault = MeshError(Reason.EXPIRED_CREDENTIALS)
    failure = await world.failure()
    assert (failure.reason, failure.domain) == (Reason.PEER_UNAVAILABLE, "memory")
    world.history.find_fault = None
    assert answer_of(await world.say()).message == world.history.turns[REQUEST_ID].answer.message


async def test_nothing_is_generated_again_while_nobody_can_say_whether_it_was_already(world: World) -> None:
    world.ledger.finish_fault = MeshError(Reason.STORE_UNAVAILABLE)
    await world.failure()
    world.ledger.finish_fault = None
    world.cache.kept.clear()
    world.history.find_fault = down()
    failure = await world.failure()
    assert (failure.reason, failure.domain) == (Reason.PEER_UNAVAILABLE, "memory")
    assert failure.retry_after
    assert len(world.models.asked) == 1
    world.history.find_fault = None
    assert answer_of(await world.say()).message == world.history.turns[REQUEST_ID].answer.message


async def test_what_is_nowhere_durable_is_not_acknowledged(world: World) -> None:
    world.history.append_fault = down()
    world.outbox.fault = MeshError(Reason.STORE_UNAVAILABLE)
    assert (await world.failure()).reason is Reason.STORE_UNAVAILABLE
    assert not world.ledger.held()
    # The store is back, memory still is not: nobody is told anything but what was once staged.
    world.outbox.fault = None
    world.models.parts = ["Something", " else"]
    assert answer_of(await world.say()).message.content == "Hello there"
    assert len(world.models.asked) == 1


async def test_a_retry_after_the_outbox_gives_the_answer_that_memory_will_have(world: World) -> None:
    world.history.append_fault = down()
    world.ledger.finish_fault = MeshError(Reason.STORE_UNAVAILABLE)
    assert (await world.failure()).reason is Reason.STORE_UNAVAILABLE
    world.ledger.finish_fault = None
    answer = answer_of(await world.say())
    assert {turn.answer.message for turn in world.outbox.waiting} == {answer.message}
    assert len(world.models.asked) == 1


async def test_a_retry_after_a_crash_finds_the_appended_turn(world: World) -> None:
    world.ledger.finish_fault = MeshError(Reason.STORE_UNAVAILABLE)
    assert (await world.failure()).reason is Reason.STORE_UNAVAILABLE
    world.ledger.finish_fault = None
    answer = answer_of(await world.say())
    assert answer == world.history.turns[REQUEST_ID].answer
    assert len(world.models.asked) == 1
    assert world.history.calls.count("append") == 1


async def test_an_earlier_holder_that_had_kept_nothing_is_replaced(world: World) -> None:
    world.models.fault = down()
    assert (await world.failure()).reason is Reason.PEER_UNAVAILABLE
    world.models.fault = None
    assert answer_of(await world.say()).message.content == "Hello there"


async def test_a_router_that_is_down_is_a_typed_error_and_the_claim_is_given_back(world: World) -> None:
    world.models.fault = MeshError(Reason.MODEL_UNAVAILABLE, retry_after=3.0)
    failure = await world.failure()
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
    assert (await world.failure()).reason is Reason.UNKNOWN_MODEL


async def test_text_that_is_out_is_not_followed_by_a_fallback() -> None:
    world = World(fallback_answer="Please try again later.")
    world.models.broken = MeshError(Reason.MODEL_STREAM_BROKEN)
    assert (await world.failure()).reason is Reason.MODEL_STREAM_BROKEN
    assert world.history.turns == {}


async def test_a_stream_that_ends_without_its_end_is_broken(world: World) -> None:
    world.models.end = None
    assert (await world.failure()).reason is Reason.MODEL_STREAM_BROKEN


async def test_an_empty_answer_is_escalated(world: World) -> None:
    world.models.parts = ["  "]
    assert (await world.failure()).reason is Reason.MODEL_BAD_RESPONSE
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


async def test_an_answer_of_a_second_choice_is_not_offered_to_the_cache(world: World) -> None:
    world.models.end = replace(GENERATED, fallback_count=1)
    await world.say()
    assert world.cache.kept == []


async def test_an_answer_that_saw_more_than_its_fingerprint_says_is_not_offered_to_the_cache(world: World) -> None:
    await world.say()
    stray = replace(world.history.turns[REQUEST_ID], request_id=other_id(9))
    await world.history.append(stray)
    answer = answer_of(await world.say(ask("And you?", other_id(1))))
    assert answer.report.degraded == ()
    assert len(world.cache.kept) == 1
