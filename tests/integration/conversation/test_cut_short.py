"""What is given up, and what is taken up again, where an operator and a caller can see it."""

import asyncio
from collections.abc import Awaitable

import grpc

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1 import job_pb2
from agentmesh.memory.v1 import memory_pb2
from libs.core.clock import SystemClock
from libs.core.ids import new_request_id
from libs.store.connection import Store
from libs.store.entries import DeadLetter
from libs.store.streams import StreamQueue
from services.conversation.adapters import keys
from services.conversation.turn import Owner
from tests.integration.conversation.conftest import TIMEOUT, House, worker
from tests.integration.conversation.test_service import NOT_FOUND, failed, submit, watch


async def test_a_turn_that_memory_never_takes_ends_among_the_dead_letters(house: House, store: Store) -> None:
    conversation_id = await house.client.create()
    house.peers.memory.refuses = grpc.StatusCode.UNAUTHENTICATED
    request_id = new_request_id()
    assert list((await house.client.send(conversation_id, request_id=request_id)).report.degraded) == ["memory"]
    house.peers.memory.refuses = grpc.StatusCode.INVALID_ARGUMENT
    letter = await first_letter(StreamQueue(store, keys.OUTBOX_QUEUE))
    assert letter.reason == "INVALID_FIELD"
    assert memory_pb2.AppendMessagesRequest.FromString(letter.fields[b"append"]).request_id == request_id


async def test_a_job_that_cannot_succeed_ends_among_the_dead_letters(house: House, store: Store) -> None:
    conversation_id = await house.client.create()
    job_id = await submit(house, conversation_id)
    await house.client.conversations.DeleteConversation(
        pb.DeleteConversationRequest(conversation_id=conversation_id, request_id=new_request_id()),
        metadata=house.client.metadata,
    )
    async with worker(house.settings):
        letter = await first_letter(StreamQueue(store, keys.JOB_QUEUE))
        assert (await watch(house, job_id))[-1].state == job_pb2.JOB_STATE_FAILED
    assert (letter.reason, letter.fields[b"job"]) == ("NOT_FOUND", job_id.encode())


async def first_letter(queue: StreamQueue) -> DeadLetter:
    async with asyncio.timeout(TIMEOUT):
        while True:
            for letter in await queue.dead_letters():
                return letter
            await SystemClock().sleep(0.02)


async def test_a_removal_without_memory_closes_the_conversation_and_can_be_taken_up(house: House) -> None:
    conversation_id = await house.client.create()
    await house.client.send(conversation_id)
    removal = pb.DeleteConversationRequest(conversation_id=conversation_id, request_id=new_request_id())
    await house.peers.stop("memory")
    delete = house.client.conversations.DeleteConversation
    assert (await failed(delete(removal, metadata=house.client.metadata))).code is grpc.StatusCode.UNAVAILABLE
    assert await failed(house.client.send(conversation_id, "And you?")) == NOT_FOUND
    await house.peers.start("memory")
    async with asyncio.timeout(TIMEOUT):
        while await refused(delete(removal, metadata=house.client.metadata)):
            await SystemClock().sleep(0.05)
    assert house.peers.memory.contents("ada", conversation_id) == []


async def test_an_answer_that_memory_threw_away_is_not_acknowledged(house: House) -> None:
    conversation_id = await house.client.create()
    house.peers.memory.forgotten.add(conversation_id)
    assert await failed(house.client.send(conversation_id)) == NOT_FOUND
    assert house.peers.memory.calls == ["AppendMessages"], "its reply says all there is to know"


async def test_the_ledger_says_what_memory_has(house: House, store: Store) -> None:
    conversation_id = await house.client.create()
    request_id = new_request_id()
    first = await house.client.send(conversation_id, request_id=request_id)
    # As if the replica had died between memory and the ledger, and the claim had expired with it.
    await store.execute("DEL", keys.turn(Owner("tenant-one", "ada"), request_id))
    house.peers.router.parts = ["Something", " else"]
    again = await house.client.send(conversation_id, request_id=request_id)
    assert again.message == first.message
    assert house.peers.memory.contents("ada", conversation_id) == ["Hi?", "Hello there"]


async def refused(call: Awaitable[object]) -> bool:
    """Whether the service that a call needs is still away."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return True
    return False
