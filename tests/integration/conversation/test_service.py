"""What callers of the front door see, over real gRPC, while peers come and go."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1 import job_pb2
from agentmesh.types.v1 import types_pb2
from libs.core.clock import SystemClock
from libs.core.ids import new_request_id
from libs.store.connection import Store
from libs.store.embedded import EmbeddedRedis
from tests.integration.conversation.conftest import (
    TIMEOUT,
    Client,
    Failure,
    House,
    failure,
    front_door,
    settings_for,
    worker,
)

NOT_FOUND = Failure(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "There is no such conversation.", ())


async def failed(call: Awaitable[object]) -> Failure:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return failure(raised.value)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not holds():
            await SystemClock().sleep(0.01)


async def test_a_stream_brings_text_then_the_durable_answer(house: House) -> None:
    conversation_id = await house.client.create("Be brief.")
    house.peers.router.failed_before = ["model-b"]
    responses = [response async for response in house.client.stream(conversation_id)]
    assert [response.text for response in responses] == ["Hello", " there", ""]
    assert not any(response.HasField("message") for response in responses[:-1])
    last = responses[-1]
    assert last.message.content == "Hello there"
    assert last.message.role == types_pb2.ROLE_ASSISTANT
    assert (last.report.route, last.report.model, last.report.cost_usd_micros) == (pb.ROUTE_MODEL, "model-a", 340)
    assert last.report.fallback_count == 1
    assert len(last.report.trace_id) == 32
    assert house.peers.memory.contents("ada", conversation_id) == ["Hi?", "Hello there"]
    asked = house.peers.router.asked[0]
    assert (asked.system_prompt, asked.stream, asked.max_tokens) == ("Be brief.", True, 0)


async def test_an_exact_hit_takes_one_call_of_each_and_two_round_trips(house: House, store: Store) -> None:
    first = await house.client.create()
    await house.client.send(first)
    await asyncio.wait_for(house.peers.cache.put.wait(), TIMEOUT)
    second = await house.client.create()
    house.peers.auth.authorized.clear()
    house.peers.memory.calls.clear()
    house.peers.cache.lookups = 0
    await store.execute("CONFIG", "SET", "slowlog-log-slower-than", 0)
    await store.execute("CONFIG", "SET", "slowlog-max-len", 1000)
    await store.execute("SLOWLOG", "RESET")
    answer = await house.client.send(second)
    with store.guard():
        commands = [entry["command"] for entry in await store.redis.slowlog_get(1000)]
    await store.execute("CONFIG", "SET", "slowlog-log-slower-than", 10_000)
    assert (answer.report.route, answer.report.cache_layer) == (pb.ROUTE_CACHE, types_pb2.CACHE_LAYER_EXACT_REDIS)
    assert (answer.report.cost_usd_micros, answer.report.saved_usd_micros) == (0, 340)
    assert house.peers.auth.authorized == ["/agentmesh.conversation.v1.ConversationService/SendMessage"]
    assert house.peers.cache.lookups == 1
    assert house.peers.memory.calls == ["AppendMessages"]
    assert len(house.peers.router.asked) == 1
    # What scripts do inside Redis is in this log too, but is no round trip.
    assert len([text for text in commands if text.startswith(b"EVAL") and b"{tenant-one:ada}" in text]) == 2


async def test_a_retried_request_is_replayed_in_either_form(house: House) -> None:
    conversation_id = await house.client.create()
    request_id = new_request_id()
    first = await house.client.send(conversation_id, request_id=request_id)
    again = await house.client.send(conversation_id, request_id=request_id)
    streamed = [response async for response in house.client.stream(conversation_id, request_id=request_id)]
    assert again.message == first.message == streamed[-1].message
    assert "".join(response.text for response in streamed) == "Hello there"
    assert (first.report.replayed, again.report.replayed, streamed[-1].report.replayed) == (False, True, True)
    assert len(house.peers.router.asked) == 1
    reused = await failed(house.client.send(conversation_id, "Something else?", request_id))
    assert (reused.code, reused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


async def test_missing_and_foreign_look_the_same_in_every_method(house: House) -> None:
    theirs = await house.client.create()
    eve = house.client.known_as("key-of-eve")
    for conversation_id in (theirs, "cnv_" + "0" * 26, "no id of ours", "x}:c:{"):
        stub, metadata = eve.conversations, eve.metadata
        calls: tuple[Awaitable[object], ...] = (
            stub.GetConversation(pb.GetConversationRequest(conversation_id=conversation_id), metadata=metadata),
            stub.ListMessages(pb.ListMessagesRequest(conversation_id=conversation_id), metadata=metadata),
            stub.DeleteConversation(
                pb.DeleteConversationRequest(conversation_id=conversation_id, request_id=new_request_id()),
                metadata=metadata,
            ),
            eve.send(conversation_id),
            eve.stream(conversation_id).read(),
            eve.jobs.SubmitJob(
                job_pb2.SubmitJobRequest(request_id=new_request_id(), conversation_id=conversation_id, content="Hi?"),
                metadata=metadata,
            ),
        )
        for call in calls:
            assert await failed(call) == NOT_FOUND
    assert house.peers.memory.calls == []


async def test_a_wrong_request_names_every_field(house: House) -> None:
    request = pb.SendMessageRequest(request_id="1", conversation_id="c", content="\x00")
    call = house.client.conversations.SendMessage(request, metadata=house.client.metadata)
    found = await failed(call)
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert found.fields == ("request_id", "content")
    token = pb.ListConversationsRequest(page_token="never given")
    listed = await failed(house.client.conversations.ListConversations(token, metadata=house.client.metadata))
    assert (listed.code, listed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


async def test_a_client_that_leaves_cancels_the_generation_and_the_next_one_starts_afresh(house: House) -> None:
    conversation_id = await house.client.create()
    request_id = new_request_id()
    house.peers.router.hold = True
    call = house.client.stream(conversation_id, request_id=request_id)
    first = await call.read()
    assert isinstance(first, pb.StreamMessageResponse)
    assert first.text == "Hello"
    call.cancel()
    await asyncio.wait_for(house.peers.router.cancelled.wait(), TIMEOUT)
    house.peers.router.hold = False
    # The claim was given back, so this need not wait for the lease of five seconds to end.
    async with asyncio.timeout(4):
        answer = await house.client.send(conversation_id, request_id=request_id)
    assert answer.message.content == "Hello there"
    assert house.peers.memory.contents("ada", conversation_id) == ["Hi?", "Hello there"]


async def test_two_callers_with_one_request_id_get_one_answer(house: House) -> None:
    conversation_id = await house.client.create()
    request_id = new_request_id()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(house.client.send(conversation_id, request_id=request_id)) for _ in range(5)]
    answers = [task.result() for task in tasks]
    assert len({answer.message.message_id for answer in answers}) == 1
    assert sorted(answer.report.replayed for answer in answers) == [False, True, True, True, True]
    assert len(house.peers.router.asked) == 1


async def test_without_the_cache_answers_are_fresh(house: House) -> None:
    conversation_id = await house.client.create()
    await house.peers.stop("semantic_cache")
    answer = await house.client.send(conversation_id)
    assert (answer.report.route, list(answer.report.degraded)) == (pb.ROUTE_MODEL, ["semantic_cache"])


async def test_without_memory_turns_wait_in_the_outbox_until_it_is_back(house: House) -> None:
    conversation_id = await house.client.create()
    await house.peers.stop("memory")
    first = await house.client.send(conversation_id)
    assert list(first.report.degraded) == ["memory"]
    second = await house.client.send(conversation_id, "And you?")
    assert list(second.report.degraded) == ["memory"]
    assert [said.content for said in house.peers.router.asked[1].messages] == ["And you?"]
    listed = house.client.conversations.ListMessages(
        pb.ListMessagesRequest(conversation_id=conversation_id), metadata=house.client.metadata
    )
    assert (await failed(listed)).code is grpc.StatusCode.UNAVAILABLE
    await house.peers.start("memory")
    await until(lambda: len(house.peers.memory.contents("ada", conversation_id)) == 4)
    third = await house.client.send(conversation_id, "Back?")
    assert list(third.report.degraded) == []
    assert len(house.peers.router.asked[2].messages) == 5


async def test_turns_that_memory_merged_are_no_turns_that_are_missing(house: House) -> None:
    conversation_id = await house.client.create()
    await house.client.send(conversation_id)
    house.peers.memory.merges = True
    assert list((await house.client.send(conversation_id, "And you?")).report.degraded) == []


async def test_a_longest_answer_can_be_set(redis: EmbeddedRedis, house: House) -> None:
    settings = settings_for(redis, house.peers).model_copy(update={"default_max_tokens": 700})
    async with front_door(settings) as (_, client):
        await client.send(await client.create())
    assert house.peers.router.asked[0].max_tokens == 700


async def test_without_a_router_the_turn_fails_and_can_be_repeated(house: House) -> None:
    conversation_id = await house.client.create()
    request_id = new_request_id()
    await house.peers.stop("model_router")
    found = await failed(house.client.send(conversation_id, request_id=request_id))
    assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "PEER_UNAVAILABLE")
    await house.peers.start("model_router")
    await until_answered(house.client, conversation_id, request_id)
    assert house.peers.memory.contents("ada", conversation_id) == ["Hi?", "Hello there"]


async def until_answered(client: Client, conversation_id: str, request_id: str) -> pb.SendMessageResponse:
    """As a patient caller does: the same request until it is answered."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            try:
                return await client.send(conversation_id, request_id=request_id)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            await SystemClock().sleep(0.05)


async def test_without_a_router_a_configured_fallback_is_given(redis: EmbeddedRedis, house: House) -> None:
    settings = settings_for(redis, house.peers, fallback_answer="Please try again later.")
    async with front_door(settings) as (_, client):
        conversation_id = await client.create()
        await house.peers.stop("model_router")
        answer = await client.send(conversation_id)
    assert (answer.message.content, answer.report.route) == ("Please try again later.", pb.ROUTE_FALLBACK)
    assert house.peers.memory.contents("ada", conversation_id) == ["Hi?", "Please try again later."]


async def test_without_auth_remembered_credentials_work_and_others_are_refused(house: House) -> None:
    conversation_id = await house.client.create()
    await house.peers.stop("auth")
    assert (await house.client.send(conversation_id)).message.content == "Hello there"
    for stranger in ("key-of-eve", "no key at all"):
        found = await failed(house.client.known_as(stranger).send(conversation_id))
        assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "PEER_UNAVAILABLE")


async def test_a_remembered_credential_is_good_until_its_token_expires(house: House) -> None:
    house.peers.auth.lifetime = -1.0
    conversation_id = await house.client.create()
    await house.peers.stop("auth")
    assert (await failed(house.client.send(conversation_id))).code is grpc.StatusCode.UNAVAILABLE


async def test_who_is_over_a_limit_or_unknown_is_told_so(house: House) -> None:
    conversation_id = await house.client.create()
    unknown = await failed(house.client.known_as("no key at all").send(conversation_id))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIALS")
    missing = await failed(house.client.conversations.GetConversation(pb.GetConversationRequest(conversation_id="c")))
    assert missing.reason == "MISSING_CREDENTIALS"
    house.peers.auth.limited = True
    limited = await failed(house.client.send(conversation_id))
    assert limited.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    # Having been over a limit is no reason to be forgotten when auth goes away.
    await house.peers.stop("auth")
    assert (await house.client.send(conversation_id)).message.content == "Hello there"


async def test_without_redis_nothing_is_acknowledged(house: House, redis: EmbeddedRedis) -> None:
    conversation_id = await house.client.create()
    request_id = new_request_id()
    redis.kill()
    found = await failed(house.client.send(conversation_id, request_id=request_id))
    assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert house.peers.router.asked == []


async def test_a_store_that_dies_during_a_generation_leaves_a_turn_that_a_retry_finishes(
    house: House, redis: EmbeddedRedis, store: Store
) -> None:
    await store.execute("CONFIG", "SET", "appendfsync", "always")
    conversation_id = await house.client.create()
    request_id = new_request_id()
    house.peers.router.hold = True
    call = house.client.stream(conversation_id, request_id=request_id)
    await call.read()
    redis.kill()
    house.peers.router.hold = False
    call.cancel()
    redis.restart()
    answer = await until_answered(house.client, conversation_id, request_id)
    assert answer.message.content == "Hello there"
    assert house.peers.memory.contents("ada", conversation_id) == ["Hi?", "Hello there"]


async def test_conversations_come_and_go(house: House) -> None:
    stub, metadata = house.client.conversations, house.client.metadata
    made = [await house.client.create(), await house.client.create()]
    await house.client.send(made[0])
    listed = await stub.ListConversations(pb.ListConversationsRequest(page_size=1), metadata=metadata)
    assert [item.conversation_id for item in listed.conversations] == [max(made)]
    assert listed.next_page_token
    messages = await stub.ListMessages(pb.ListMessagesRequest(conversation_id=made[0]), metadata=metadata)
    assert [message.content for message in messages.messages] == ["Hi?", "Hello there"]
    found = await stub.GetConversation(pb.GetConversationRequest(conversation_id=made[0]), metadata=metadata)
    assert found.conversation.turn_count == 1
    removal = pb.DeleteConversationRequest(conversation_id=made[0], request_id=new_request_id())
    await stub.DeleteConversation(removal, metadata=metadata)
    await stub.DeleteConversation(removal, metadata=metadata)
    assert await failed(house.client.send(made[0])) == NOT_FOUND
    assert house.peers.memory.contents("ada", made[0]) == []


async def submit(house: House, conversation_id: str) -> str:
    request = job_pb2.SubmitJobRequest(request_id=new_request_id(), conversation_id=conversation_id, content="Hi?")
    submitted = await house.client.jobs.SubmitJob(request, metadata=house.client.metadata, timeout=TIMEOUT)
    return submitted.job.job_id


async def watch(house: House, job_id: str, after: int = 0) -> list[job_pb2.Job]:
    request = job_pb2.WatchJobRequest(job_id=job_id, after_revision=after)
    call = house.client.jobs.WatchJob(request, metadata=house.client.metadata, timeout=TIMEOUT)
    return [response.job async for response in call]


async def test_a_job_is_worked_off_on_its_owners_behalf(house: House) -> None:
    conversation_id = await house.client.create()
    job_id = await submit(house, conversation_id)
    async with worker(house.settings):
        seen = await watch(house, job_id)
    done = seen[-1]
    assert done.state == job_pb2.JOB_STATE_SUCCEEDED
    assert (done.message.content, done.report.model, done.attempt) == ("Hello there", "model-a", 1)
    assert house.peers.memory.contents("ada", conversation_id) == ["Hi?", "Hello there"]
    assert [job.revision for job in await watch(house, job_id, done.revision - 1)] == [done.revision]
    eve = house.client.known_as("key-of-eve")
    found = await failed(eve.jobs.GetJob(job_pb2.GetJobRequest(job_id=job_id), metadata=eve.metadata))
    assert found == Failure(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "There is no such job.", ())


async def test_a_cancelled_job_stops_its_model(house: House) -> None:
    house.peers.router.hold = True
    job_id = await submit(house, await house.client.create())
    async with worker(house.settings):
        await asyncio.wait_for(house.peers.router.writing.wait(), TIMEOUT)
        request = job_pb2.CancelJobRequest(request_id=new_request_id(), job_id=job_id)
        await house.client.jobs.CancelJob(request, metadata=house.client.metadata)
        await asyncio.wait_for(house.peers.router.cancelled.wait(), TIMEOUT)
        assert (await watch(house, job_id))[-1].state == job_pb2.JOB_STATE_CANCELLED


async def test_a_job_of_a_worker_that_stops_is_finished_by_another(house: House) -> None:
    house.peers.router.hold = True
    conversation_id = await house.client.create()
    job_id = await submit(house, conversation_id)
    async with worker(house.settings):
        await asyncio.wait_for(house.peers.router.writing.wait(), TIMEOUT)
    house.peers.router.hold = False
    async with worker(house.settings):
        done = (await watch(house, job_id))[-1]
    assert (done.state, done.attempt) == (job_pb2.JOB_STATE_SUCCEEDED, 2)
    assert house.peers.memory.contents("ada", conversation_id) == ["Hi?", "Hello there"]
