"""Equal questions at the same time: one answer is made, and nobody waits for one that will not come."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import grpc
import pytest

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.model_router.v1 import model_router_pb2
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import add_SemanticCacheServiceServicer_to_server
from libs.core.clock import SystemClock
from libs.store.embedded import EmbeddedRedis
from libs.testing.inprocess import serving
from tests.integration.conversation.cache_peer import FakeCache
from tests.integration.conversation.conftest import TIMEOUT, Client, House, front_door, settings_for
from tests.integration.conversation.peers import Peers, peers
from tests.integration.conversation.test_service import failed

CALLERS = 10


@dataclass
class Town:
    """Two replicas of the service among the same peers."""

    peers: Peers
    clients: tuple[Client, Client]

    async def conversations(self, number: int) -> list[tuple[Client, str]]:
        """New ones, to be talked to at the replicas in turn."""
        return [(self.clients[index % 2], await self.clients[index % 2].create()) for index in range(number)]


@pytest.fixture
async def town(redis: EmbeddedRedis) -> AsyncIterator[Town]:
    async with peers() as around:
        settings = settings_for(redis, around)
        async with front_door(settings) as (_, one), front_door(settings) as (_, other):
            yield Town(around, (one, other))


async def all_of(tasks: list[asyncio.Task[pb.SendMessageResponse]]) -> list[pb.SendMessageResponse]:
    """What callers got, within a test's patience."""
    async with asyncio.timeout(TIMEOUT):
        return await asyncio.gather(*tasks)


async def test_equal_questions_at_once_cost_one_model_call(town: Town) -> None:
    town.peers.router.gate = asyncio.Event()
    asked = await town.conversations(CALLERS)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.send(conversation_id)) for client, conversation_id in asked]
        await until(lambda: town.peers.cache.lookups >= CALLERS)
        town.peers.router.gate.set()
        answers = await all_of(tasks)
    assert len(town.peers.router.asked) == 1
    assert {answer.message.content for answer in answers} == {"Hello there"}
    assert sorted(answer.report.route for answer in answers) == [pb.ROUTE_MODEL] + [pb.ROUTE_CACHE] * (CALLERS - 1)
    assert not any(answer.report.degraded for answer in answers)


async def test_who_waits_goes_on_waiting_for_a_slow_model(town: Town) -> None:
    town.peers.router.gate = asyncio.Event()
    # Renewed every 0.1 s.
    town.peers.cache.lease_seconds = 0.3
    asked = await town.conversations(2)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.send(conversation_id)) for client, conversation_id in asked]
        # More than one wait of the one that does not lead.
        await until(lambda: town.peers.cache.lookups >= 5 and town.peers.cache.renewals >= 2)
        town.peers.router.gate.set()
        await all_of(tasks)
    assert len(town.peers.router.asked) == 1


async def test_when_the_leader_s_caller_leaves_another_one_leads(town: Town) -> None:
    town.peers.router.gate = asyncio.Event()
    (one, first), (other, second) = await town.conversations(2)
    leading = one.stream(first)
    await leading.read()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(other.send(second))
        await until(lambda: town.peers.cache.lookups >= 2)
        leading.cancel()
        # At once, and not when the lease of five seconds ends.
        await until(lambda: len(town.peers.router.asked) == 2, 3.0)
        town.peers.router.gate.set()
        (answer,) = await all_of([waiting])
    assert answer.report.route == pb.ROUTE_MODEL


async def test_when_a_generation_fails_another_one_is_tried(town: Town) -> None:
    town.peers.router.gate = asyncio.Event()
    (one, first), (other, second) = await town.conversations(2)
    async with asyncio.TaskGroup() as group:
        leading = group.create_task(failed(one.send(first)))
        await town.peers.router.writing.wait()
        waiting = group.create_task(other.send(second))
        await until(lambda: town.peers.cache.lookups >= 2)
        town.peers.router.fails = grpc.StatusCode.INTERNAL
        town.peers.router.gate.set()
        assert (await leading).code is grpc.StatusCode.INTERNAL
        (answer,) = await all_of([waiting])
    assert answer.report.route == pb.ROUTE_MODEL
    assert len(town.peers.router.asked) == 2


async def test_nobody_waits_in_turn_for_answers_that_are_not_for_others(town: Town) -> None:
    town.peers.router.gate = asyncio.Event()
    town.peers.router.stop_reason = model_router_pb2.STOP_REASON_REFUSAL
    asked = await town.conversations(CALLERS)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.send(conversation_id)) for client, conversation_id in asked]
        await until(lambda: town.peers.cache.lookups >= CALLERS)
        town.peers.router.gate.set()
        answers = await all_of(tasks)
    assert len(town.peers.router.asked) == CALLERS
    assert {answer.report.route for answer in answers} == {pb.ROUTE_MODEL}
    assert town.peers.cache.leases == 0


async def test_a_dead_leader_is_replaced_when_its_lease_ends(town: Town) -> None:
    town.peers.router.gate = asyncio.Event()
    (one, first), (other, second) = await town.conversations(2)
    leading = one.stream(first)
    await leading.read()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(other.send(second))
        await until(lambda: town.peers.cache.lookups >= 2)
        town.peers.cache.expire()
        await until(lambda: len(town.peers.router.asked) == 2)
        town.peers.router.gate.set()
        await all_of([waiting])
        # The former leader's answer is its caller's all the same.
        last = await leading.read()
        while isinstance(last, pb.StreamMessageResponse) and not last.HasField("message"):
            last = await leading.read()
    assert isinstance(last, pb.StreamMessageResponse)
    assert last.message.content == "Hello there"


async def test_a_cache_that_hangs_costs_no_more_than_its_timeout_though_waits_are_long(town: Town) -> None:
    town.peers.cache.hangs_after = 0
    ((client, conversation_id),) = await town.conversations(1)
    async with asyncio.timeout(3.0):  # of cache_wait_seconds 10 and cache_timeout 1
        answer = await client.send(conversation_id)
    assert (answer.report.route, list(answer.report.degraded)) == (pb.ROUTE_MODEL, ["semantic_cache"])


async def test_a_cache_that_hangs_during_a_wait_costs_no_more_than_its_timeout(town: Town) -> None:
    town.peers.router.gate = asyncio.Event()
    (one, first), (other, second) = await town.conversations(2)
    leading = one.stream(first)
    await leading.read()
    town.peers.cache.hangs_after = 3
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(other.send(second))
        await asyncio.wait_for(town.peers.cache.hung.wait(), TIMEOUT)
        await until(lambda: len(town.peers.router.asked) == 2, 3.0)
        town.peers.router.gate.set()
        (answer,) = await all_of([waiting])
    assert list(answer.report.degraded) == ["semantic_cache"]


async def test_a_cache_that_dies_during_a_wait_is_gone_without(town: Town) -> None:
    town.peers.router.gate = asyncio.Event()
    (one, first), (other, second) = await town.conversations(2)
    leading = one.stream(first)
    await leading.read()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(other.send(second))
        await until(lambda: town.peers.cache.lookups >= 2)
        await town.peers.stop("semantic_cache")
        await until(lambda: len(town.peers.router.asked) == 2, 3.0)
        town.peers.router.gate.set()
        (answer,) = await all_of([waiting])
    assert list(answer.report.degraded) == ["semantic_cache"]


async def test_a_stream_that_is_answered_from_the_cache_comes_as_it_was_written(house: House) -> None:
    house.peers.router.parts = ["One ", "word ", "after another."]
    first = [part.text async for part in house.client.stream(await house.client.create())]
    await asyncio.wait_for(house.peers.cache.put.wait(), TIMEOUT)
    again = [part async for part in house.client.stream(await house.client.create())]
    assert [part.text for part in again] == first == ["One ", "word ", "after another.", ""]
    assert again[-1].report.route == pb.ROUTE_CACHE


async def test_questions_of_one_scope_reach_one_replica_of_the_cache(redis: EmbeddedRedis, house: House) -> None:
    other = FakeCache()  # type: ignore[abstract]  # conversation calls only what is there
    async with serving(partial(add_SemanticCacheServiceServicer_to_server, other)) as second:
        both = f"{house.peers.target('semantic_cache')},{second.address}"
        settings = settings_for(redis, house.peers).model_copy(update={"semantic_cache_target": both})
        async with front_door(settings) as (_, client):
            caches = (house.peers.cache, other)
            for number in range(6):
                await client.send(await client.create(), f"Question {number}?")
                await until(lambda: sum(len(cache.kept) for cache in caches) > number)  # noqa: B023 - awaited here
    assert sorted(cache.lookups for cache in caches) == [0, 6]
    assert sorted(len(cache.kept) for cache in caches) == [0, 6]


async def test_the_language_reaches_the_model_and_no_answer_in_it_is_given_to_others(house: House) -> None:
    for language in ("de-CH", "fr"):
        request = pb.SendMessageRequest(
            request_id=f"00000000-0000-4000-8000-00000000000{len(language)}",
            conversation_id=await house.client.create(),
            content="Hi?",
            options=pb.GenerationOptions(language=language),
        )
        await house.client.conversations.SendMessage(request, metadata=house.client.metadata, timeout=TIMEOUT)
    prompts = [asked.system_prompt for asked in house.peers.router.asked]
    assert prompts == ["Answer in the language de-CH.", "Answer in the language fr."]


async def until(holds: Callable[[], bool], seconds: float = TIMEOUT) -> None:
    """Return once something is so."""
    async with asyncio.timeout(seconds):
        while not holds():
            await SystemClock().sleep(0.01)
