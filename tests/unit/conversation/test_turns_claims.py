"""Who has the claim on a turn, whoever leaves, is slow or is faster."""

import asyncio
from contextlib import aclosing

import pytest

from libs.core.errors import MeshError, Reason
from services.conversation.turn import TextPart
from tests.unit.conversation.fakes import CONVERSATION, LEASE_SECONDS, OWNER, REQUEST_ID
from tests.unit.conversation.world import World, answer_of, ask, raised


@pytest.fixture
def world() -> World:
    return World()


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
        turn = group.create_task(world.failure())
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
        reading = group.create_task(raised(slow_reader()))
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
        turn = group.create_task(world.failure())
        await world.models.writing.wait()
        del world.ledger.conversations[OWNER, CONVERSATION]
        world.models.gate.set()
    assert turn.result().reason is Reason.NOT_FOUND
