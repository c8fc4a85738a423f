"""The asynchronous client."""

import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import grpc

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1 import job_pb2
from agentmesh.conversation.v1.conversation_pb2_grpc import ConversationServiceStub
from agentmesh.conversation.v1.job_pb2_grpc import JobServiceStub
from libs.client.replies import Conversation, JobUpdate, Reply
from libs.client.requests import DEFAULT, Options
from libs.core.clock import Clock, SystemClock
from libs.core.deadline import Deadline
from libs.core.errors import Code, MeshError, Reason
from libs.core.ids import new_request_id
from libs.mesh.channel import MeshChannel
from libs.mesh.errors import typed_errors
from libs.mesh.options import MeshOptions
from libs.mesh.service_token import StaticToken

# With the pauses below about three seconds: longer than a connection's reconnect backoff.
_RESUMPTIONS: Final = 5
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_WATCHED_ON: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})
_SERVICE: Final = "conversation"


class _OtherAnswerError(MeshError):
    """A resumed stream brings another answer than the one that was begun."""

    def __init__(self) -> None:
        super().__init__(Reason.MODEL_STREAM_BROKEN, domain=_SERVICE)


class AgentMesh:
    """Conversations with an agent.

    Every mutation carries a request_id, so the channel may retry it on another replica: nothing is said, generated
    or paid twice.

        async with AgentMesh("dns:///conversation:50051", api_key) as mesh:
            conversation = await mesh.create_conversation()
            async for event in mesh.stream(conversation.conversation_id, "Hello"):
                ...

    Args:
        target: `static:///host:port,host:port`, `dns:///host:port`, ...
        credential: an API key (`amk_...`) or a token.
        timeout: seconds an answer may take.
        options: of the channel; its token source is replaced by the credential.
        clock: paces the watching of jobs; the machine's own if not given.
    """

    def __init__(
        self,
        target: str,
        credential: str,
        *,
        timeout: float = 120.0,
        options: MeshOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        base = options if options is not None else MeshOptions()
        self.channel: Final = MeshChannel(target, _with_credential(base, credential))
        self._timeout: Final = timeout
        self._clock: Final = clock if clock is not None else SystemClock()
        self._conversations: Final = ConversationServiceStub(self.channel)
        self._jobs: Final = JobServiceStub(self.channel)

    async def __aenter__(self) -> Self:
        await self.channel.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.channel.__aexit__(kind, error, trace)

    async def create_conversation(self, title: str = "", system_prompt: str = "") -> Conversation:
        """Begin a conversation."""
        request = pb.CreateConversationRequest(request_id=new_request_id(), title=title, system_prompt=system_prompt)
        with typed_errors(_SERVICE):
            response = await self._conversations.CreateConversation(request)
        return Conversation.of(response.conversation)

    async def send(
        self, conversation_id: str, text: str, options: Options = DEFAULT, request_id: str | None = None
    ) -> Reply:
        """Say something; the whole answer.

        Args:
            conversation_id: where.
            text: what.
            options: how it should be answered.
            request_id: a UUID; pass the one of a send that failed to learn its answer instead of asking again.

        Raises:
            MeshError: with the service's reason.
        """
        request = pb.SendMessageRequest(
            request_id=request_id or new_request_id(),
            conversation_id=conversation_id,
            content=text,
            options=options.to_proto(),
        )
        with typed_errors(_SERVICE):
            response = await self._conversations.SendMessage(request, timeout=self._timeout)
        return Reply.of(response.message, response.report)

    async def stream(
        self, conversation_id: str, text: str, options: Options = DEFAULT, request_id: str | None = None
    ) -> AsyncGenerator[str | Reply, None]:
        """Say something; the answer's text as it is written, then the reply.

        If the replica dies in mid-answer another one is asked for the same turn, and what was given already is not
        given again.

        Raises:
            MeshError: with the service's reason; MODEL_STREAM_BROKEN if another replica could only give another
                answer than the one begun: `send` with the same request_id returns it.
        """
        request = pb.StreamMessageRequest(
            request_id=request_id or new_request_id(),
            conversation_id=conversation_id,
            content=text,
            options=options.to_proto(),
        )
        given = ""
        deadline = Deadline.after(self._timeout, self._clock)
        pause = _FIRST_PAUSE
        for resumption in range(_RESUMPTIONS + 1):
            try:
                async with aclosing(self._stream_from(request, given, deadline.remaining())) as events:
                    async for event in events:
                        if isinstance(event, str):
                            given += event
                        yield event
                return
            except _OtherAnswerError:
                # Of the same code, but the answer that is durable now will not become the one begun.
                raise
            except MeshError as error:
                if error.code is not Code.UNAVAILABLE or resumption == _RESUMPTIONS:
                    raise
            await self._clock.sleep(pause)
            pause *= 2

    async def _stream_from(
        self, request: pb.StreamMessageRequest, given: str, timeout: float
    ) -> AsyncGenerator[str | Reply, None]:
        received = ""
        call = self._conversations.StreamMessage(request, timeout=timeout)
        with typed_errors(_SERVICE), _cancelled_at_end(call):
            async for response in call:
                before = len(received)
                received += response.text
                compared = min(len(received), len(given))
                if received[before:compared] != given[before:compared]:
                    raise _OtherAnswerError
                if fresh := received[max(before, len(given)) :]:
                    yield fresh
                if response.HasField("message"):
                    if len(received) < len(given):
                        raise _OtherAnswerError
                    yield Reply.of(response.message, response.report)
                    return
        raise MeshError(Reason.MODEL_STREAM_BROKEN, "The stream ended without its reply.")

    async def list_messages(self, conversation_id: str) -> list[pb.Message]:
        """All messages, oldest first."""
        messages: list[pb.Message] = []
        token = ""
        while True:
            request = pb.ListMessagesRequest(conversation_id=conversation_id, page_size=1000, page_token=token)
            with typed_errors(_SERVICE):
                page = await self._conversations.ListMessages(request)
            messages.extend(page.messages)
            token = page.next_page_token
            if not token:
                return messages

    async def submit_job(self, conversation_id: str, text: str, options: Options = DEFAULT) -> JobUpdate:
        """Say something that nobody waits for."""
        request = job_pb2.SubmitJobRequest(
            request_id=new_request_id(), conversation_id=conversation_id, content=text, options=options.to_proto()
        )
        with typed_errors(_SERVICE):
            response = await self._jobs.SubmitJob(request)
        return JobUpdate.of(response.job)

    async def watch_job(self, job_id: str, *, timeout: float | None = None) -> AsyncGenerator[JobUpdate, None]:
        """The job now and at each change, until it has finished.

        Goes on by itself when a replica dies, and when nothing happens for longer than one call may take.

        Args:
            job_id: which.
            timeout: seconds to watch at most; None watches until the job has finished.

        Raises:
            MeshError: with the service's reason; DEADLINE_TOO_SHORT, or what kept the service from answering, if the
                job has not finished within the timeout.
        """
        deadline = Deadline.after(math.inf if timeout is None else timeout, self._clock)
        seen, pause = 0, _FIRST_PAUSE
        while True:
            broken = MeshError(Reason.DEADLINE_TOO_SHORT, domain=_SERVICE)
            try:
                async with aclosing(self._watch_from(job_id, seen, deadline)) as updates:
                    async for update in updates:
                        seen, pause = update.revision, _FIRST_PAUSE
                        yield update
                        if update.finished:
                            return
            except MeshError as error:
                if error.code not in _WATCHED_ON:
                    raise
                broken = error
            if deadline.remaining() <= pause:
                raise broken
            await self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _watch_from(self, job_id: str, seen: int, deadline: Deadline) -> AsyncGenerator[JobUpdate, None]:
        request = job_pb2.WatchJobRequest(job_id=job_id, after_revision=seen)
        call = self._jobs.WatchJob(request, timeout=min(self._timeout, deadline.remaining()))
        with typed_errors(_SERVICE), _cancelled_at_end(call):
            async for response in call:
                yield JobUpdate.of(response.job)

    async def cancel_job(self, job_id: str) -> JobUpdate:
        """Stop a job that has not finished."""
        request = job_pb2.CancelJobRequest(request_id=new_request_id(), job_id=job_id)
        with typed_errors(_SERVICE):
            response = await self._jobs.CancelJob(request)
        return JobUpdate.of(response.job)


def _with_credential(options: MeshOptions, credential: str) -> MeshOptions:
    return replace(options, token_source=StaticToken(credential))


@contextmanager
def _cancelled_at_end(call: grpc.aio.Call) -> Iterator[None]:
    """Whoever leaves the block early leaves the call too, and the other side stops working on it."""
    try:
        yield
    finally:
        # Does nothing to a call that has finished.
        call.cancel()
