import asyncio

import grpc
import pytest

from agentmesh.memory.v1 import memory_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core.errors import Code, Reason
from libs.core.ids import new_request_id
from libs.core.tokens import estimate_message_tokens
from libs.store.connection import Store
from libs.store.embedded import EmbeddedRedis
from tests.integration.memory.commands import calls_of
from tests.integration.memory.replica import Metadata, Replica, caller, refusal

ME = caller()


def turn(question: str, answer: str, request_id: str = "", conversation: str = "c_1") -> pb.AppendMessagesRequest:
    return pb.AppendMessagesRequest(
        request_id=request_id or new_request_id(),
        conversation_id=conversation,
        messages=[
            pb.Message(message_id=f"m_{question}", role=types_pb2.ROLE_USER, content=question),
            pb.Message(
                message_id=f"m_{answer}",
                role=types_pb2.ROLE_ASSISTANT,
                content=answer,
                model="claude-haiku-5-5",
                usage=types_pb2.TokenUsage(input_tokens=10, output_tokens=20),
                cost_usd_micros=42,
            ),
        ],
    )


async def append(memory: Replica, request: pb.AppendMessagesRequest, who: Metadata = ME) -> pb.AppendMessagesResponse:
    return await memory.stub.AppendMessages(request, metadata=who)


async def contents(memory: Replica, who: Metadata = ME, conversation: str = "c_1") -> list[str]:
    page = await memory.stub.ListMessages(pb.ListMessagesRequest(conversation_id=conversation), metadata=who)
    return [message.content for message in page.messages]


async def test_a_conversation_is_remembered(memory: Replica) -> None:
    request = turn("My name is Ada.", "Hello Ada.")
    appended = await append(memory, request)
    assert (appended.message_count, appended.duplicate) == (2, False)
    await append(memory, turn("What is my name?", "Ada."))
    context = await memory.stub.GetContext(
        pb.GetContextRequest(conversation_id="c_1", query="And my surname?"), metadata=ME
    )
    assert [(message.role, message.content) for message in context.messages] == [
        (types_pb2.ROLE_USER, "My name is Ada."),
        (types_pb2.ROLE_ASSISTANT, "Hello Ada."),
        (types_pb2.ROLE_USER, "What is my name?"),
        (types_pb2.ROLE_ASSISTANT, "Ada."),
    ]
    assert context.token_count == sum(estimate_message_tokens(message.content) for message in context.messages)
    assert context.omitted_count == 0


async def test_a_small_budget_gets_the_newest_turns(memory: Replica) -> None:
    for number in range(20):
        await append(memory, turn(f"question {number}", f"answer {number}"))
    context = await memory.stub.GetContext(pb.GetContextRequest(conversation_id="c_1", max_tokens=50), metadata=ME)
    assert [message.content for message in context.messages][-2:] == ["question 19", "answer 19"]
    assert context.messages[0].role == types_pb2.ROLE_USER
    assert 0 < context.token_count <= 50
    assert context.omitted_count == 40 - len(context.messages)
    assert context.message_count == 40


async def test_a_conversation_that_nobody_started(memory: Replica) -> None:
    context = await memory.stub.GetContext(pb.GetContextRequest(conversation_id="c_none"), metadata=ME)
    assert (len(context.messages), context.token_count, context.omitted_count) == (0, 0, 0)
    assert await contents(memory, conversation="c_none") == []


async def test_a_retry_adds_nothing(memory: Replica) -> None:
    request = turn("hello", "hi")
    await append(memory, request)
    again = await append(memory, request)
    assert (again.message_count, again.duplicate) == (2, True)


async def test_concurrent_turns_are_all_kept(memory: Replica) -> None:
    await asyncio.gather(*(append(memory, turn(f"q{number}", f"a{number}")) for number in range(50)))
    kept = await contents(memory)
    page = await memory.stub.ListMessages(pb.ListMessagesRequest(conversation_id="c_1", page_size=1000), metadata=ME)
    assert len(page.messages) == 100
    assert len(kept) == 50


async def test_pages_join_up(memory: Replica) -> None:
    for number in range(7):
        await append(memory, turn(f"q{number}", f"a{number}"))
    seen: list[str] = []
    token = ""
    sizes: list[int] = []
    while True:
        page = await memory.stub.ListMessages(
            pb.ListMessagesRequest(conversation_id="c_1", page_size=4, page_token=token), metadata=ME
        )
        seen += [message.content for message in page.messages]
        sizes.append(len(page.messages))
        token = page.next_page_token
        if not token:
            break
    assert sizes == [4, 4, 4, 2]
    assert seen == [f"{kind}{number}" for number in range(7) for kind in ("q", "a")]


async def test_one_turn_can_be_asked_for(memory: Replica) -> None:
    request = turn("q1", "a1")
    await append(memory, turn("q0", "a0"))
    await append(memory, request)
    page = await memory.stub.ListMessages(
        pb.ListMessagesRequest(conversation_id="c_1", request_id=request.request_id), metadata=ME
    )
    assert [message.content for message in page.messages] == ["q1", "a1"]
    answer = page.messages[1]
    assert (answer.request_id, answer.model, answer.cost_usd_micros) == (request.request_id, "claude-haiku-5-5", 42)
    assert answer.usage.output_tokens == 20


async def test_a_token_of_another_listing_is_refused(memory: Replica) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await memory.stub.ListMessages(
            pb.ListMessagesRequest(conversation_id="c_1", page_token="nonsense"), metadata=ME
        )
    assert refusal(caught).reason is Reason.INVALID_PAGE_TOKEN


async def test_a_late_append_does_not_bring_a_deleted_conversation_back(memory: Replica) -> None:
    await append(memory, turn("hello", "hi"))
    deletion = pb.DeleteConversationRequest(request_id=new_request_id(), conversation_id="c_1")
    for _ in range(2):
        assert (await memory.stub.DeleteConversation(deletion, metadata=ME)).deleted_count == 2
    late = await append(memory, turn("late", "too late"))
    assert late.duplicate
    assert await contents(memory) == []


@pytest.mark.parametrize("who", [caller(tenant="t2"), caller(user="u2"), caller(user="")])
async def test_nobody_else_sees_or_deletes_it(memory: Replica, who: Metadata) -> None:
    await append(memory, turn("secret", "kept"))
    assert await contents(memory, who) == []
    deletion = pb.DeleteConversationRequest(request_id=new_request_id(), conversation_id="c_1")
    assert (await memory.stub.DeleteConversation(deletion, metadata=who)).deleted_count == 0
    assert await contents(memory) == ["secret", "kept"]


async def test_clients_are_turned_away(memory: Replica) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await append(memory, turn("hello", "hi"), caller(audience="agentmesh"))
    assert refusal(caught).code in {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}


async def test_bad_input_is_named_and_nothing_is_half_written(memory: Replica) -> None:
    request = turn("fine", "fine")
    request.messages[1].role = types_pb2.ROLE_UNSPECIFIED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await append(memory, request)
    assert [violation.field for violation in refusal(caught).violations] == ["messages[1].role"]
    assert await contents(memory) == []


async def test_without_redis_it_says_so_and_comes_back(redis: EmbeddedRedis, memory: Replica) -> None:
    await append(memory, turn("before", "the crash"))
    redis.kill()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await append(memory, turn("during", "the crash"))
    error = refusal(caught)
    assert error.reason is Reason.STORE_UNAVAILABLE
    assert error.retry_after is not None
    async with asyncio.timeout(10):
        while await memory.ready():
            pass
        redis.restart()
        while not await memory.ready():
            pass
    assert await contents(memory) == ["before", "the crash"]
    await append(memory, turn("after", "the crash"))
    assert len(await contents(memory)) == 4


async def test_each_call_is_one_script(store: Store, memory: Replica) -> None:
    await append(memory, turn("warm", "up"))
    before = await calls_of(store, "evalsha")
    await append(memory, turn("one", "turn"))
    await memory.stub.GetContext(pb.GetContextRequest(conversation_id="c_1"), metadata=ME)
    assert await calls_of(store, "evalsha") - before == 2


async def test_context_sizes_are_measured(memory: Replica) -> None:
    await append(memory, turn("one", "turn"))
    await memory.stub.GetContext(pb.GetContextRequest(conversation_id="c_1"), metadata=ME)
    assert b"agentmesh_memory_context_tokens_count 1.0" in memory.telemetry.metrics.exposition()
