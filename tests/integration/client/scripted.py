"""The conversation service as a script: each call of a method plays the next scene."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import grpc

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1 import job_pb2
from agentmesh.conversation.v1.conversation_pb2_grpc import (
    ConversationServiceServicer,
    add_ConversationServiceServicer_to_server,
)
from agentmesh.conversation.v1.job_pb2_grpc import JobServiceServicer, add_JobServiceServicer_to_server
from libs.testing.inprocess import Register

Context = grpc.aio.ServicerContext[object, object]
Scene = Sequence[str | grpc.StatusCode]
"""What one call gives, in order: texts (revisions of a job as digits), or the code that it ends with."""


@dataclass
class Script:
    """The scenes to come and the calls that were made."""

    scenes: list[Scene] = field(default_factory=list)
    answer: str = ""
    """The durable message that ends a stream; empty: none does."""
    text_with_message: str = ""
    """Text in the same response as the message."""
    finished_revision: int = 0
    """The revision at which a watched job has succeeded; 0: it never does."""
    requests: list[object] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    def registrations(self) -> tuple[Register, ...]:
        """Both services of the contract."""
        conversations = _Conversations(self)  # type: ignore[abstract]  # the rest stays unimplemented on purpose
        jobs = _Jobs(self)  # type: ignore[abstract]  # as above
        return (
            partial(add_ConversationServiceServicer_to_server, conversations),
            partial(add_JobServiceServicer_to_server, jobs),
        )

    async def play(self, request: object, context: Context) -> AsyncIterator[str]:
        """The texts of the next scene; ends the call if the scene does."""
        self.requests.append(request)
        metadata = dict(context.invocation_metadata() or ())
        self.credentials.append(str(metadata.get("authorization", "")))
        for event in self.scenes.pop(0) if self.scenes else ():
            if isinstance(event, grpc.StatusCode):
                await context.abort(event, "as scripted")
            else:
                yield event


class _Conversations(ConversationServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def SendMessage(self, request: pb.SendMessageRequest, context: Context) -> pb.SendMessageResponse:  # noqa: N802
        async for _ in self._script.play(request, context):
            pass
        return pb.SendMessageResponse(message=pb.Message(content=self._script.answer, request_id=request.request_id))

    async def StreamMessage(  # noqa: N802
        self, request: pb.StreamMessageRequest, context: Context
    ) -> AsyncIterator[pb.StreamMessageResponse]:
        async for text in self._script.play(request, context):
            yield pb.StreamMessageResponse(text=text)
        if self._script.answer:
            message = pb.Message(content=self._script.answer, request_id=request.request_id)
            yield pb.StreamMessageResponse(text=self._script.text_with_message, message=message)


class _Jobs(JobServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def WatchJob(  # noqa: N802
        self, request: job_pb2.WatchJobRequest, context: Context
    ) -> AsyncIterator[job_pb2.WatchJobResponse]:
        async for revision in self._script.play(request, context):
            finished = int(revision) == self._script.finished_revision
            state = job_pb2.JOB_STATE_SUCCEEDED if finished else job_pb2.JOB_STATE_RUNNING
            yield job_pb2.WatchJobResponse(job=job_pb2.Job(job_id=request.job_id, state=state, revision=int(revision)))
