"""The synchronous client against grpcio-testing's channel: what goes out, what comes back, what fails how."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import grpc
import grpc_testing
import pytest

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.client.replies import Reply
from libs.client.requests import Options
from libs.client.sync import SyncAgentMesh
from libs.core.errors import MeshError, Reason, invalid
from libs.core.ids import is_uuid
from libs.server.rich_status import trailing_metadata

_SERVICE = pb.DESCRIPTOR.services_by_name["ConversationService"]
_MESSAGE = pb.Message(message_id="msg_1", role=types_pb2.ROLE_ASSISTANT, content="Paris.", request_id="r")
_REPORT = pb.TurnReport(
    model="claude-sonnet-5-5",
    usage=types_pb2.TokenUsage(input_tokens=10, output_tokens=2, cache_read_input_tokens=5),
    cost_usd_micros=40,
    cache_layer=types_pb2.CACHE_LAYER_SEMANTIC,
    route=pb.ROUTE_CACHE,
)
T = TypeVar("T")


@pytest.fixture
def channel() -> grpc_testing.Channel:
    return grpc_testing.channel([_SERVICE], grpc_testing.strict_fake_time(0))


@pytest.fixture
def run() -> Iterator[Callable[[Callable[[], T]], "Future[T]"]]:
    pool = ThreadPoolExecutor(1)
    yield pool.submit
    # A call whose RPC was never ended would be waited for, for ever.
    pool.shutdown(wait=False, cancel_futures=True)


def test_send_carries_the_credential_and_returns_a_plain_reply(
    channel: grpc_testing.Channel, run: Callable[[Callable[[], Reply]], "Future[Reply]"]
) -> None:
    client = SyncAgentMesh(channel, "amk_key")
    sent = run(lambda: client.send("cnv_1", "Capital of France?", Options(tier="deep")))
    metadata, request, rpc = channel.take_unary_unary(_SERVICE.methods_by_name["SendMessage"])
    rpc.terminate(pb.SendMessageResponse(message=_MESSAGE, report=_REPORT), (), grpc.StatusCode.OK, "")
    reply = sent.result(timeout=5)
    assert ("authorization", "Bearer amk_key") in metadata
    assert is_uuid(request.request_id)
    assert request.options.tier == types_pb2.MODEL_TIER_DEEP
    assert (reply.text, reply.route, reply.cache_layer) == ("Paris.", "cache", "semantic")
    assert reply.input_tokens == 15


def test_a_stream_gives_text_then_the_reply(
    channel: grpc_testing.Channel, run: Callable[[Callable[[], list[str | Reply]]], "Future[list[str | Reply]]"]
) -> None:
    client = SyncAgentMesh(channel, "amk_key")
    streamed = run(lambda: list(client.stream("cnv_1", "Capital of France?")))
    _, _, rpc = channel.take_unary_stream(_SERVICE.methods_by_name["StreamMessage"])
    rpc.send_response(pb.StreamMessageResponse(text="Par"))
    rpc.send_response(pb.StreamMessageResponse(text="is."))
    rpc.send_response(pb.StreamMessageResponse(message=_MESSAGE, report=_REPORT))
    rpc.terminate((), grpc.StatusCode.OK, "")
    events = streamed.result(timeout=5)
    assert events[:2] == ["Par", "is."]
    assert isinstance(events[2], Reply)


def test_a_rich_status_becomes_a_typed_error(
    channel: grpc_testing.Channel, run: Callable[[Callable[[], Reply]], "Future[Reply]"]
) -> None:
    client = SyncAgentMesh(channel, "amk_key")
    sent = run(lambda: client.send("cnv_1", " "))
    _, _, rpc = channel.take_unary_unary(_SERVICE.methods_by_name["SendMessage"])
    details = trailing_metadata(invalid("content", "must not be blank"), "conversation")
    rpc.terminate(None, details, grpc.StatusCode.INVALID_ARGUMENT, "content: must not be blank")
    with pytest.raises(MeshError) as raised:
        sent.result(timeout=5)
    assert raised.value.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in raised.value.violations] == ["content"]
    assert raised.value.domain == "conversation"


def test_an_unreachable_service_is_a_typed_error(
    channel: grpc_testing.Channel, run: Callable[[Callable[[], Reply]], "Future[Reply]"]
) -> None:
    client = SyncAgentMesh(channel, "amk_key")
    sent = run(lambda: client.send("cnv_1", "Hello"))
    _, _, rpc = channel.take_unary_unary(_SERVICE.methods_by_name["SendMessage"])
    rpc.terminate(None, (), grpc.StatusCode.UNAVAILABLE, "failed to connect")
    with pytest.raises(MeshError) as raised:
        sent.result(timeout=5)
    assert raised.value.reason is Reason.PEER_UNAVAILABLE
