"""Conversations as users have them, and the errors they get."""

import asyncio
from collections.abc import Awaitable
from uuid import uuid4

import grpc
import pytest

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1.conversation_pb2_grpc import ConversationServiceStub
from agentmesh.memory.v1.memory_pb2 import GetContextRequest
from agentmesh.memory.v1.memory_pb2_grpc import MemoryServiceStub
from libs.cli.tenants import auth_channel, make_key, make_local_tenant
from libs.client.aio import AgentMesh
from libs.client.replies import Reply
from libs.client.requests import Options
from libs.core.errors import Code, MeshError, Reason
from tests.e2e.conftest import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _stream(client: AgentMesh, conversation_id: str, text: str) -> tuple[list[str], Reply]:
    parts: list[str] = []
    async for event in client.stream(conversation_id, text):
        if isinstance(event, Reply):
            return parts, event
        parts.append(event)
    raise AssertionError("no reply")


async def test_an_answer_streams_and_says_what_it_took(world: World) -> None:
    conversation = await world.client.create_conversation("streams")
    parts, reply = await _stream(world.client, conversation.conversation_id, f"Explain gravity {uuid4()}.")
    assert len(parts) > 1
    assert "".join(parts) == reply.text
    assert reply.route == "model"
    assert reply.model
    assert reply.input_tokens > 0
    assert reply.output_tokens > 0
    assert reply.cost_usd_micros > 0
    assert len(reply.trace_id) == 32
    assert reply.degraded == ()


async def test_the_same_question_is_answered_by_the_cache_for_nothing(world: World) -> None:
    question = f"What is the meaning of {uuid4()}?"
    first = await world.client.send((await world.client.create_conversation()).conversation_id, question)
    again = await _until_cached(world, question)
    assert again.text == first.text
    assert again.cache_layer.startswith("exact")
    assert again.cost_usd_micros == 0
    assert again.saved_usd_micros == first.cost_usd_micros


async def _until_cached(world: World, question: str) -> Reply:
    # Answers are put after the turn, so the very next question may come too early.
    for _ in range(50):
        reply = await world.client.send((await world.client.create_conversation()).conversation_id, question)
        if reply.cache_layer:
            return reply
        await asyncio.sleep(0.05)
    raise AssertionError("never cached")


async def test_another_tenant_never_gets_this_tenants_answers(world: World) -> None:
    question = f"What is the secret of {uuid4()}?"
    await world.client.send((await world.client.create_conversation()).conversation_id, question)
    await _until_cached(world, question)
    other_key = await make_local_tenant(world.mesh.target("auth"), world.mesh.secrets.root_key)
    async with AgentMesh(world.mesh.conversation_target, other_key) as other:
        reply = await other.send((await other.create_conversation()).conversation_id, question)
    assert reply.cache_layer == ""
    assert reply.route == "model"


async def test_a_conversation_remembers_and_lists_what_was_said(world: World) -> None:
    conversation = await world.client.create_conversation()
    await world.client.send(conversation.conversation_id, "My name is Grace.")
    reply = await world.client.send(conversation.conversation_id, "What is my name?")
    assert "Grace" in reply.text
    messages = await world.client.list_messages(conversation.conversation_id)
    assert [message.content for message in messages][::2] == ["My name is Grace.", "What is my name?"]
    assert messages[3].content == reply.text


async def test_a_retried_request_id_gets_the_same_message_and_pays_nothing_again(world: World) -> None:
    conversation = await world.client.create_conversation()
    request_id = str(uuid4())
    first, second = await asyncio.gather(
        world.client.send(conversation.conversation_id, "Say it once.", request_id=request_id),
        world.client.send(conversation.conversation_id, "Say it once.", request_id=request_id),
    )
    third = await world.client.send(conversation.conversation_id, "Say it once.", request_id=request_id)
    assert first.message_id == second.message_id == third.message_id
    assert third.replayed
    assert len(await world.client.list_messages(conversation.conversation_id)) == 2
    with pytest.raises(MeshError) as refused:
        await world.client.send(conversation.conversation_id, "Say another thing.", request_id=request_id)
    assert refused.value.reason is Reason.REQUEST_ID_REUSED


async def test_somebody_elses_conversation_looks_exactly_like_a_missing_one(world: World) -> None:
    conversation = await world.client.create_conversation()
    other_key = await make_local_tenant(world.mesh.target("auth"), world.mesh.secrets.root_key)
    async with AgentMesh(world.mesh.conversation_target, other_key) as other:
        missing = await _failure(other.send("cnv_00000000000000000000000000", "Hello"))
        foreign = await _failure(other.send(conversation.conversation_id, "Hello"))
        listed = await _failure(other.list_messages(conversation.conversation_id))
    assert foreign.code is Code.NOT_FOUND
    assert (foreign.reason, foreign.message) == (missing.reason, missing.message) == (listed.reason, listed.message)


async def _failure(call: Awaitable[object]) -> MeshError:
    with pytest.raises(MeshError) as raised:
        await call
    return raised.value


@pytest.mark.parametrize(
    ("credential", "reason"),
    [
        ("", Reason.MISSING_CREDENTIALS),
        ("nonsense", Reason.INVALID_CREDENTIALS),
        ("amk_t000000000aaaaaaaa_" + "0" * 38, Reason.INVALID_CREDENTIALS),
    ],
)
async def test_wrong_credentials_are_refused(world: World, credential: str, reason: Reason) -> None:
    async with AgentMesh(world.mesh.conversation_target, credential) as stranger:
        assert (await _failure(stranger.create_conversation())).reason is reason


async def test_a_revoked_key_is_refused_at_once(world: World) -> None:
    from agentmesh.auth.v1.auth_pb2 import CreateTenantRequest, RevokeApiKeyRequest
    from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub

    async with auth_channel(world.mesh.target("auth"), world.mesh.secrets.root_key) as channel:
        auth = AuthServiceStub(channel)
        made = await auth.CreateTenant(CreateTenantRequest(request_id=str(uuid4()), display_name="revoked"))
        key = await make_key(channel, made.tenant.tenant_id, "u1")
        async with AgentMesh(world.mesh.conversation_target, key) as client:
            await client.create_conversation()
            key_id = key.split("_")[1]
            await auth.RevokeApiKey(RevokeApiKeyRequest(request_id=str(uuid4()), key_id=key_id))
            assert (await _failure(client.create_conversation())).reason is Reason.REVOKED_CREDENTIALS


async def test_rate_limits_say_when_to_come_back(world: World) -> None:
    from agentmesh.auth.v1.auth_pb2 import CreateTenantRequest, RateLimits
    from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub

    async with auth_channel(world.mesh.target("auth"), world.mesh.secrets.root_key) as channel:
        made = await AuthServiceStub(channel).CreateTenant(
            CreateTenantRequest(
                request_id=str(uuid4()), display_name="small", rate_limits=RateLimits(user_per_minute=6)
            )
        )
        key = await make_key(channel, made.tenant.tenant_id, "u1")
    async with AgentMesh(world.mesh.conversation_target, key) as client:
        refused = None
        for _ in range(30):
            try:
                await client.create_conversation()
            except MeshError as error:
                refused = error
                break
    assert refused is not None
    assert refused.reason is Reason.RATE_LIMITED
    assert refused.retry_after is not None
    assert 0 < refused.retry_after <= 60
    assert refused.quota


@pytest.mark.parametrize(
    ("content", "options", "field"),
    [
        ("", Options(), "content"),
        ("   \n ", Options(), "content"),
        ("x" * 40_000, Options(), "content"),
        ("bell \x07", Options(), "content"),
        ("fine", Options(max_tokens=-1), "options.max_tokens"),
    ],
)
async def test_bad_input_names_the_field(world: World, content: str, options: Options, field: str) -> None:
    conversation = await world.client.create_conversation()
    error = await _failure(world.client.send(conversation.conversation_id, content, options))
    assert error.code is Code.INVALID_ARGUMENT
    assert field in {violation.field for violation in error.violations}
    assert await world.client.list_messages(conversation.conversation_id) == []


async def test_an_unknown_model_is_named_before_anything_is_spent(world: World) -> None:
    conversation = await world.client.create_conversation()
    error = await _failure(world.client.send(conversation.conversation_id, "Hi", Options(model="gpt-none")))
    assert error.reason is Reason.UNKNOWN_MODEL
    assert await world.client.list_messages(conversation.conversation_id) == []


async def test_malformed_page_tokens_are_refused(world: World) -> None:
    stub = ConversationServiceStub(world.client.channel)
    conversation = await world.client.create_conversation()
    requests: list[Awaitable[object]] = [
        stub.ListConversations(pb.ListConversationsRequest(page_token="junk!")),
        stub.ListMessages(pb.ListMessagesRequest(conversation_id=conversation.conversation_id, page_token="junk!")),
    ]
    for call in requests:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_conversations_are_listed_page_by_page(world: World) -> None:
    key = await make_local_tenant(world.mesh.target("auth"), world.mesh.secrets.root_key)
    async with AgentMesh(world.mesh.conversation_target, key) as client:
        made = [await client.create_conversation(f"number {number}") for number in range(5)]
        stub = ConversationServiceStub(client.channel)
        seen: list[str] = []
        token = ""
        while True:
            page = await stub.ListConversations(pb.ListConversationsRequest(page_size=2, page_token=token))
            seen += [conversation.conversation_id for conversation in page.conversations]
            token = page.next_page_token
            if not token:
                break
        assert sorted(seen) == sorted(conversation.conversation_id for conversation in made)
        gone = pb.DeleteConversationRequest(request_id=str(uuid4()), conversation_id=seen[0])
        await stub.DeleteConversation(gone)
        assert (await _failure(client.send(seen[0], "Hello"))).code is Code.NOT_FOUND


async def test_inner_services_refuse_clients(world: World) -> None:
    async with grpc.aio.insecure_channel(world.mesh.target("memory").removeprefix("static:///")) as channel:
        for metadata in ((), (("authorization", f"Bearer {world.api_key}"),)):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await MemoryServiceStub(channel).GetContext(GetContextRequest(conversation_id="c"), metadata=metadata)
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
