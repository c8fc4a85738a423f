"""A credential that calls often asks auth rarely; what a caller sees stays the same."""

import asyncio

import grpc

from agentmesh.conversation.v1 import conversation_pb2 as pb
from tests.integration.conversation.conftest import TIMEOUT, House


async def list_conversations(house: House) -> grpc.StatusCode:
    stub, metadata = house.client.conversations, house.client.metadata
    try:
        await stub.ListConversations(pb.ListConversationsRequest(), metadata=metadata, timeout=TIMEOUT)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def at_once(house: House, calls: int) -> list[grpc.StatusCode]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(list_conversations(house)) for _ in range(calls)]
    return [task.result() for task in tasks]


async def test_a_busy_credential_asks_auth_for_many_calls_at_once(house: House) -> None:
    for _ in range(4):
        assert await at_once(house, 64) == [grpc.StatusCode.OK] * 64
    assert len(house.peers.auth.authorized) <= 64


async def test_a_busy_credential_that_hits_its_limit_is_told_so(house: House) -> None:
    assert await at_once(house, 64) == [grpc.StatusCode.OK] * 64
    house.peers.auth.limited = True
    outcomes = await at_once(house, 200)
    assert outcomes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 200 - 64
    assert set(outcomes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
