"""What others get from a turn that makes an answer while they wait, and a turn from others."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.errors import MeshError, Reason
from services.conversation.cache_ports import MAX_PIECES, CacheHit, CacheLease, CacheMiss, Unshared
from services.conversation.turn import CacheLayer, Route, StopReason, TextPart, TurnEvent, TurnRequest, Usage
from tests.unit.conversation.fakes import CACHE_WAIT_SECONDS, GENERATED, LEASE_SECONDS, OWNER, down
from tests.unit.conversation.world import World, answer_of, ask, other_id

LEASE = CacheLease(b"token", 9.0)
FAILED = [(b"token", Unshared.FAILED)]
NOT_REUSABLE = [(b"token", Unshared.NOT_REUSABLE)]


def leading(fallback_answer: str = "") -> World:
    """A world whose cache has every miss lead."""
    world = World(fallback_answer=fallback_answer)
    world.cache.leasing = LEASE
    return world


@pytest.fixture
def world() -> World:
    return leading()


async def test_a_fast_answer_ends_its_lease_by_being_put_and_renews_nothing(world: World) -> None:
    await world.say()
    assert [entry.miss for entry in world.cache.kept] == [CacheMiss(b"embedding", LEASE, b"receipt")]
    assert world.cache.released == []
    assert world.cache.calls == ["lookup"]


async def slow(world: World, seconds: float) -> list[TurnEvent]:
    """A turn whose model takes `seconds`."""
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say(timeout=600))
        await world.models.writing.wait()
        await world.clock.run(seconds)
        world.models.gate.set()
    return turn.result()


async def test_a_slow_answer_keeps_its_lease(world: World) -> None:
    await slow(world, 10.0)
    assert world.cache.calls.count("renew") == 3
    assert len(world.cache.kept) == 1


async def test_a_lost_lease_does_not_stop_the_turn(world: World) -> None:
    world.cache.lost = True
    assert answer_of(await slow(world, 10.0)).message.content == "Hello there"
    assert world.cache.calls.count("renew") == 1
    assert len(world.cache.kept) == 1


async def test_a_cache_that_goes_away_meanwhile_does_not_stop_the_turn(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say(timeout=600))
        await world.models.writing.wait()
        world.cache.fault = down()
        await world.clock.run(10.0)
        world.models.gate.set()
    assert answer_of(turn.result()).report.degraded == ()
    assert world.cache.calls.count("renew") == 3


@pytest.mark.parametrize("stop", [StopReason.MAX_TOKENS, StopReason.REFUSAL])
async def test_those_who_wait_hear_that_an_answer_is_not_for_them(world: World, stop: StopReason) -> None:
    world.models.end = replace(GENERATED, stop_reason=stop)
    await world.say()
    assert (world.cache.kept, world.cache.released) == ([], NOT_REUSABLE)


async def test_those_who_wait_hear_that_a_generation_failed(world: World) -> None:
    world.models.broken = MeshError(Reason.MODEL_STREAM_BROKEN)
    await world.failure()
    assert (world.cache.kept, world.cache.released) == ([], FAILED)


async def test_a_fallback_is_a_failure_to_those_who_wait() -> None:
    world = leading("Please try again later.")
    world.models.fault = MeshError(Reason.MODEL_UNAVAILABLE)
    assert answer_of(await world.say()).report.route is Route.FALLBACK
    assert (world.cache.kept, world.cache.released) == ([], FAILED)


async def test_a_caller_that_leaves_gives_the_lease_back(world: World) -> None:
    world.models.gate = asyncio.Event()
    with world.request():
        turn = world.runner().run(ask())
        assert await anext(turn) == TextPart("Hello")
        await turn.aclose()
    assert world.cache.released == FAILED


async def test_a_cancelled_caller_gives_the_lease_back(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say())
        await world.models.writing.wait()
        await world.clock.settle()
        turn.cancel()
    assert world.cache.released == FAILED


async def test_a_turn_that_was_taken_over_gives_the_lease_back(world: World) -> None:
    world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.failure())
        await world.models.writing.wait()
        world.ledger.lose()
        await world.clock.run(6.0)
    assert turn.result().reason is Reason.REQUEST_IN_PROGRESS
    assert world.cache.released == FAILED


async def test_without_a_lease_nobody_is_told_anything() -> None:
    world = World()
    world.models.broken = MeshError(Reason.MODEL_STREAM_BROKEN)
    await world.failure()
    assert world.cache.released == []


async def test_bypassing_the_cache_takes_no_lease(world: World) -> None:
    await world.say(ask(bypass_cache=True))
    assert (world.cache.calls, world.cache.kept, world.cache.released) == ([], [], [])


@pytest.mark.parametrize(("timeout", "waits"), [(60.0, CACHE_WAIT_SECONDS), (8.0, 4.0)])
async def test_a_turn_waits_for_others_for_half_of_its_time_at_most(world: World, timeout: float, waits: float) -> None:
    await world.say(timeout=timeout)
    assert world.cache.waits == [waits]


async def test_a_turn_that_waits_for_others_keeps_its_claim(world: World) -> None:
    world.cache.others = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say(timeout=600))
        await world.clock.run(LEASE_SECONDS * 3)
        # A retry elsewhere finds the turn busy, and does not take it over.
        retry = group.create_task(world.failure(timeout=1.0))
        await world.clock.run(2.0)
        assert retry.result().reason is Reason.REQUEST_IN_PROGRESS
        world.cache.others.set()
    assert answer_of(turn.result()).message.content == "Hello there"
    assert len(world.models.asked) == 1


async def test_a_turn_that_is_taken_over_while_it_waits_ends(world: World) -> None:
    world.cache.others = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.failure(timeout=600))
        await world.clock.settle()
        world.ledger.lose()
        await world.clock.run(LEASE_SECONDS)
        assert turn.result().reason is Reason.REQUEST_IN_PROGRESS
    assert world.models.asked == []


async def test_a_cache_that_goes_away_while_a_turn_waits_is_gone_without(world: World) -> None:
    world.cache.others = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(world.say(timeout=600))
        await world.clock.settle()
        world.cache.fault = down()
        world.cache.others.set()
    assert answer_of(turn.result()).report.degraded == ("semantic_cache",)


async def test_answers_in_another_language_are_other_answers(world: World) -> None:
    await world.say(ask(language="de"))
    world.ledger.add(OWNER, "another")
    await world.say(ask(conversation_id="another", request_id=other_id(1), language="fr"))
    assert [asked.system_prompt for asked in world.models.asked] == [
        "Answer in the language de.",
        "Answer in the language fr.",
    ]


async def replay(world: World, streaming: bool) -> list[str]:
    """The parts in which another conversation is given the answer that is kept."""
    world.ledger.add(OWNER, "another")
    request = ask(conversation_id="another", request_id=other_id(1), streaming=streaming)
    events = await world.say(request)
    assert answer_of(events).report.route is Route.CACHE
    assert answer_of(events).message.content == "".join(world.models.parts)
    return [event.text for event in events if isinstance(event, TextPart)]


FIRST_STREAMED, FIRST_WHOLE = ask(streaming=True), ask(streaming=False)


@pytest.mark.parametrize(
    ("first", "streaming", "parts"),
    [
        (FIRST_STREAMED, True, ["Hello", " there"]),
        (FIRST_STREAMED, False, ["Hello there"]),
        (FIRST_WHOLE, True, ["Hello there"]),
    ],
)
async def test_a_stream_is_replayed_as_it_was(
    world: World, first: TurnRequest, streaming: bool, parts: list[str]
) -> None:
    await world.say(first)
    assert await replay(world, streaming) == parts


async def test_a_stream_of_very_many_pieces_is_kept_as_one(world: World) -> None:
    world.models.parts = ["x"] * MAX_PIECES
    await world.say(ask(streaming=True))
    assert len(world.cache.kept[0].piece_lengths) == MAX_PIECES
    world.cache.kept.clear()
    world.ledger.add(OWNER, "longer")
    world.models.parts.append("x")
    await world.say(ask(conversation_id="longer", request_id=other_id(2), streaming=True))
    assert world.cache.kept[0].piece_lengths == ()


@given(st.text(min_size=1, max_size=20), st.lists(st.integers(0, 20), max_size=5).map(tuple))
def test_pieces_are_the_text_whatever_the_lengths_say(text: str, lengths: tuple[int, ...]) -> None:
    pieces = CacheHit(text, "", Usage(), 0, CacheLayer.EXACT_REDIS, 1.0, lengths).pieces()
    assert "".join(pieces) == text
    assert all(pieces)
    if sum(lengths) == len(text):
        assert [len(piece) for piece in pieces] == [length for length in lengths if length]
    else:
        assert pieces == [text]
