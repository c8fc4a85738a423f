import uuid

import pytest

from agentmesh.memory.v1 import memory_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core.errors import MeshError, Reason
from services.memory import convert
from services.memory.context import Role

REQUEST_ID = str(uuid.UUID(int=1))


def message(content: str = "hello", role: types_pb2.Role.ValueType = types_pb2.ROLE_USER) -> pb.Message:
    return pb.Message(message_id="m1", role=role, content=content)


def faulty_fields(raised: pytest.ExceptionInfo[MeshError]) -> list[str]:
    assert raised.value.reason is Reason.INVALID_FIELD
    return [violation.field for violation in raised.value.violations]


def test_a_message_is_filed_under_its_turn_and_comes_back_whole() -> None:
    original = pb.Message(
        message_id="m1",
        role=types_pb2.ROLE_ASSISTANT,
        content="grüß dich",
        request_id="ignored",
        model="claude-haiku-5-5",
        usage=types_pb2.TokenUsage(input_tokens=3, output_tokens=4),
        cost_usd_micros=17,
        cache_layer=types_pb2.CACHE_LAYER_SEMANTIC,
    )
    record = convert.record(original, REQUEST_ID)
    kept = convert.message(record.body)
    assert kept.request_id == REQUEST_ID
    kept.request_id = original.request_id
    assert kept == original
    spoken = convert.spoken(record)
    assert (spoken.role, spoken.content, spoken.tokens) == (Role.ASSISTANT, "grüß dich", record.tokens)


def test_every_fault_of_an_append_is_named_at_once() -> None:
    request = pb.AppendMessagesRequest(
        request_id="not-a-uuid",
        messages=[
            message(),
            pb.Message(role=types_pb2.ROLE_UNSPECIFIED, cost_usd_micros=-1),
            message("x" * 1_048_577),
        ],
    )
    with pytest.raises(MeshError) as raised:
        convert.validate_append(request)
    assert faulty_fields(raised) == [
        "request_id",
        "conversation_id",
        "messages[1].message_id",
        "messages[1].role",
        "messages[1].content",
        "messages[1].cost_usd_micros",
        "messages[2].content",
    ]


@pytest.mark.parametrize("count", [0, 11])
def test_an_append_takes_one_to_ten_messages(count: int) -> None:
    request = pb.AppendMessagesRequest(
        request_id=REQUEST_ID, conversation_id="c1", messages=[message() for _ in range(count)]
    )
    with pytest.raises(MeshError) as raised:
        convert.validate_append(request)
    assert faulty_fields(raised) == ["messages"]


@pytest.mark.parametrize("max_tokens", [-1, 1_000_001])
def test_a_context_budget_has_bounds(max_tokens: int) -> None:
    with pytest.raises(MeshError) as raised:
        convert.validate_context(pb.GetContextRequest(conversation_id="c1", max_tokens=max_tokens))
    assert faulty_fields(raised) == ["max_tokens"]


def test_a_listing_has_bounds() -> None:
    with pytest.raises(MeshError) as raised:
        convert.validate_list(pb.ListMessagesRequest(conversation_id="c" * 101, page_size=1001, request_id="x"))
    assert faulty_fields(raised) == ["conversation_id", "page_size", "request_id"]


def test_a_deletion_needs_its_ids() -> None:
    with pytest.raises(MeshError) as raised:
        convert.validate_delete(pb.DeleteConversationRequest())
    assert faulty_fields(raised) == ["request_id", "conversation_id"]


def test_valid_requests_pass() -> None:
    convert.validate_append(
        pb.AppendMessagesRequest(request_id=REQUEST_ID, conversation_id="c1", messages=[message("ä" * 524_288)])
    )
    convert.validate_context(pb.GetContextRequest(conversation_id="c1", query="", max_tokens=0))
    convert.validate_list(pb.ListMessagesRequest(conversation_id="c1"))
    convert.validate_delete(pb.DeleteConversationRequest(request_id=REQUEST_ID, conversation_id="c1"))
