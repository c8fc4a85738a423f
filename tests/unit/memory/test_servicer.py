import uuid
from collections.abc import Iterator

import pytest

from agentmesh.memory.v1 import memory_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core import context
from libs.core.context import Principal, RequestContext
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from libs.telemetry.catalogue import MEMORY_CONTEXT_TOKENS
from libs.telemetry.metrics import Metrics
from libs.testing.clock import ManualClock
from libs.testing.grpc_context import FakeServicerContext
from services.memory.servicer import MemoryServicer
from services.memory.settings import MemorySettings
from tests.unit.memory.fakes import FakeHistory

SETTINGS = MemorySettings.model_validate(
    {
        "redis_url": "redis://h",
        "auth_target": "static:///h:1",
        "service_secret": "secret",
        "context_tokens": 100,
        "context_messages": 10,
    }
)
CALL = FakeServicerContext()


@pytest.fixture
def request_context() -> Iterator[RequestContext]:
    deadline = Deadline.after(5.0, ManualClock())
    with context.scope(RequestContext(deadline, principal=Principal("t1", "u1"))) as current:
        yield current


@pytest.fixture
def memory() -> MemoryServicer:
    histogram = Metrics("memory").histogram(MEMORY_CONTEXT_TOKENS)
    return MemoryServicer(FakeHistory(), SETTINGS, histogram)


async def append(memory: MemoryServicer, number: int, text: str = "text") -> None:
    messages = [
        pb.Message(message_id=f"m{number}{role}", role=role, content=text)
        for role in (types_pb2.ROLE_USER, types_pb2.ROLE_ASSISTANT)
    ]
    request = pb.AppendMessagesRequest(request_id=str(uuid.UUID(int=number)), conversation_id="c1", messages=messages)
    await memory.AppendMessages(request, CALL)


async def test_no_budget_means_the_services_own(memory: MemoryServicer, request_context: RequestContext) -> None:
    for number in range(20):
        await append(memory, number, "x" * 35)
    context = await memory.GetContext(pb.GetContextRequest(conversation_id="c1"), CALL)
    assert 0 < context.token_count <= 100
    assert context.omitted_count == 40 - len(context.messages)
    assert request_context.log_fields == {"context_tokens": context.token_count}


async def test_a_turn_longer_than_the_budget_is_shortened_and_says_so(
    memory: MemoryServicer, request_context: RequestContext
) -> None:
    await append(memory, 1)
    await append(memory, 2, "x" * 10_000)
    context = await memory.GetContext(pb.GetContextRequest(conversation_id="c1"), CALL)
    assert len(context.messages) == 2
    assert all("characters left out" in message.content for message in context.messages)
    assert 0 < context.token_count <= 100
    assert context.omitted_count == 2
    assert request_context.log_fields == {"context_tokens": context.token_count, "context_shortened": 2}


async def test_pages_have_a_default_size(memory: MemoryServicer, request_context: RequestContext) -> None:
    for number in range(30):
        await append(memory, number)
    page = await memory.ListMessages(pb.ListMessagesRequest(conversation_id="c1"), CALL)
    assert len(page.messages) == 50
    rest = await memory.ListMessages(
        pb.ListMessagesRequest(conversation_id="c1", page_token=page.next_page_token), CALL
    )
    assert (len(rest.messages), rest.next_page_token) == (10, "")


async def test_without_a_principal_nothing_is_read(memory: MemoryServicer) -> None:
    with (
        context.scope(RequestContext(Deadline.after(5.0, ManualClock()))),
        pytest.raises(MeshError) as raised,
    ):
        await memory.GetContext(pb.GetContextRequest(conversation_id="c1"), CALL)
    assert raised.value.reason is Reason.MISSING_CREDENTIALS
