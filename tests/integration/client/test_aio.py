"""The asynchronous client over real connections, against a service that dies on cue."""

from collections.abc import AsyncIterator

import grpc
import pytest

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1 import job_pb2
from libs.client.aio import AgentMesh
from libs.client.replies import Reply
from libs.core.errors import MeshError, Reason
from libs.core.ids import is_uuid
from libs.testing.clock import ManualClock
from libs.testing.inprocess import serving
from tests.integration.client.scripted import Script

_DIES = grpc.StatusCode.UNAVAILABLE


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def client(script: Script) -> AsyncIterator[AgentMesh]:
    async with (
        serving(*script.registrations()) as server,
        AgentMesh(server.target, "amk_key", timeout=10, clock=ManualClock(autojump=0.01)) as mesh,
    ):
        yield mesh


async def streamed(client: AgentMesh, given: list[str] | None = None) -> tuple[list[str], Reply | None]:
    """The texts (also put into `given`, for streams that break) and the reply."""
    texts = given if given is not None else []
    reply = None
    async for event in client.stream("cnv_1", "Capital of France?"):
        if isinstance(event, str):
            texts.append(event)
        else:
            reply = event
    return texts, reply


async def test_a_stream_gives_text_then_the_reply(script: Script, client: AgentMesh) -> None:
    script.scenes, script.answer = [["Par", "is."]], "Paris."

    texts, reply = await streamed(client)

    assert texts == ["Par", "is."]
    assert reply is not None
    assert reply.text == "Paris."
    assert script.credentials == ["Bearer amk_key"]


async def test_a_short_answer_in_one_response_is_given_as_text_too(script: Script, client: AgentMesh) -> None:
    script.answer = script.text_with_message = "Paris."

    texts, reply = await streamed(client)

    assert texts == ["Paris."]
    assert reply is not None


async def test_an_answer_goes_on_where_a_dead_replica_left_it(script: Script, client: AgentMesh) -> None:
    # Cut differently, as a recorded answer is, and with its end beside the message.
    script.scenes = [["Paris is ", "the ", _DIES], ["Par", "is is the capital of "]]
    script.text_with_message, script.answer = "France.", "Paris is the capital of France."

    texts, reply = await streamed(client)

    assert texts == ["Paris is ", "the ", "capital of ", "France."]
    assert reply is not None
    assert reply.text == "".join(texts)
    first, second = (request for request in script.requests if isinstance(request, pb.StreamMessageRequest))
    assert is_uuid(first.request_id)
    assert first == second


@pytest.mark.parametrize("other", ["London is the capital", "Par"])
async def test_another_answer_than_the_one_begun_is_an_error(script: Script, client: AgentMesh, other: str) -> None:
    script.scenes, script.answer = [["Paris is ", _DIES], [other]], other
    given: list[str] = []

    with pytest.raises(MeshError) as raised:
        await streamed(client, given)

    assert raised.value.reason is Reason.MODEL_STREAM_BROKEN
    assert given == ["Paris is "]
    assert len(script.requests) == 2, "asking once more would not change the recorded answer"


async def test_a_stream_that_keeps_breaking_is_given_up(script: Script, client: AgentMesh) -> None:
    script.scenes, script.answer = [["Paris ", _DIES]] * 9, "Paris."

    with pytest.raises(MeshError) as raised:
        await streamed(client)

    assert raised.value.reason is Reason.PEER_UNAVAILABLE
    assert len(script.requests) == 6


async def test_a_refusal_is_not_asked_again(script: Script, client: AgentMesh) -> None:
    script.scenes = [[grpc.StatusCode.NOT_FOUND]]

    with pytest.raises(MeshError) as raised:
        await streamed(client)

    assert raised.value.reason is Reason.NOT_FOUND
    assert len(script.requests) == 1


async def test_a_retried_send_is_the_same_request(script: Script, client: AgentMesh) -> None:
    script.scenes, script.answer = [[_DIES], [_DIES]], "Paris."

    reply = await client.send("cnv_1", "Capital of France?")

    sent = [request for request in script.requests if isinstance(request, pb.SendMessageRequest)]
    assert reply.text == "Paris."
    assert len(sent) == 3
    assert {request.request_id for request in sent} == {reply.request_id}
    assert script.credentials == ["Bearer amk_key"] * 3


async def test_a_watched_job_goes_on_after_the_last_revision_seen(script: Script, client: AgentMesh) -> None:
    script.scenes, script.finished_revision = [["1", "2", _DIES], ["3"]], 3

    revisions = [update.revision async for update in client.watch_job("job_1")]

    watched = [request for request in script.requests if isinstance(request, job_pb2.WatchJobRequest)]
    assert revisions == [1, 2, 3]
    assert [request.after_revision for request in watched] == [0, 2]


async def test_a_watch_goes_on_until_the_job_has_finished_however_often_it_is_cut_off(
    script: Script, client: AgentMesh
) -> None:
    too_late = grpc.StatusCode.DEADLINE_EXCEEDED
    script.scenes = [["1"], [too_late], ["2", _DIES], [], ["3", too_late], ["4"]]
    script.finished_revision = 4

    revisions = [update.revision async for update in client.watch_job("job_1")]

    watched = [request for request in script.requests if isinstance(request, job_pb2.WatchJobRequest)]
    assert revisions == [1, 2, 3, 4]
    assert [request.after_revision for request in watched] == [0, 1, 1, 2, 2, 3]


async def test_a_watch_ends_when_its_time_is_up(script: Script, client: AgentMesh) -> None:
    script.scenes = [["1"]]
    updates = client.watch_job("job_1", timeout=0.3)

    seen = (await anext(updates)).revision
    with pytest.raises(MeshError) as raised:
        await anext(updates)

    assert raised.value.reason is Reason.DEADLINE_TOO_SHORT
    assert seen == 1


async def test_a_job_that_is_not_there_is_not_watched_again(script: Script, client: AgentMesh) -> None:
    script.scenes = [[grpc.StatusCode.NOT_FOUND]]

    with pytest.raises(MeshError) as raised:
        async for _ in client.watch_job("job_1"):
            pass

    assert raised.value.reason is Reason.NOT_FOUND
    assert len(script.requests) == 1
