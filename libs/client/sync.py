"""The synchronous client, over any `grpc.Channel`: for scripts, notebooks and threaded programs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1.conversation_pb2_grpc import ConversationServiceStub
from libs.client.replies import Conversation, Reply
from libs.client.requests import DEFAULT, Options
from libs.core.errors import MeshError
from libs.core.ids import new_request_id
from libs.mesh.errors import decode


class SyncAgentMesh:
    """Conversations with an agent, one blocking call at a time.

    The channel is the caller's: `grpc.insecure_channel("conversation:50051")` or a secure one. It has no mesh behind
    it (one connection, gRPC's own balancing); programs that need more use `AgentMesh`.

    Args:
        channel: leads to the conversation service.
        credential: an API key (`amk_...`) or a token.
        timeout: seconds an answer may take.
    """

    def __init__(self, channel: grpc.Channel, credential: str, *, timeout: float = 120.0) -> None:
        self._stub: Final = ConversationServiceStub(channel)
        self._metadata: Final = (("authorization", f"Bearer {credential}"),)
        self._timeout: Final = timeout

    def create_conversation(self, title: str = "", system_prompt: str = "") -> Conversation:
        """Begin a conversation."""
        request = pb.CreateConversationRequest(request_id=new_request_id(), title=title, system_prompt=system_prompt)
        with _typed_errors():
            response = self._stub.CreateConversation(request, timeout=self._timeout, metadata=self._metadata)
        return Conversation.of(response.conversation)

    def send(self, conversation_id: str, text: str, options: Options = DEFAULT, request_id: str | None = None) -> Reply:
        """Say something; the whole answer. MeshError with the service's reason if there is none."""
        request = pb.SendMessageRequest(
            request_id=request_id or new_request_id(),
            conversation_id=conversation_id,
            content=text,
            options=options.to_proto(),
        )
        with _typed_errors():
            response = self._stub.SendMessage(request, timeout=self._timeout, metadata=self._metadata)
        return Reply.of(response.message, response.report)

    def stream(
        self, conversation_id: str, text: str, options: Options = DEFAULT, request_id: str | None = None
    ) -> Iterator[str | Reply]:
        """Say something; the answer's text as it is written, then the reply."""
        request = pb.StreamMessageRequest(
            request_id=request_id or new_request_id(),
            conversation_id=conversation_id,
            content=text,
            options=options.to_proto(),
        )
        call = self._stub.StreamMessage(request, timeout=self._timeout, metadata=self._metadata)
        try:
            with _typed_errors():
                for response in call:
                    if response.text:
                        yield response.text
                    if response.HasField("message"):
                        yield Reply.of(response.message, response.report)
        finally:
            # Whoever stops reading early stops the model too; a finished call is not disturbed.
            call.cancel()


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call):
            raise _decode(error) from error
        raise


def _decode(error: grpc.Call) -> MeshError:
    # The same status, in the form the decoder knows.
    return decode(
        grpc.aio.AioRpcError(
            error.code(),
            grpc.aio.Metadata(*(error.initial_metadata() or ())),
            grpc.aio.Metadata(*(error.trailing_metadata() or ())),
            error.details(),
        ),
        "conversation",
    )
