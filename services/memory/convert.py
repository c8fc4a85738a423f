"""Between the wire and the domain, and what makes a request valid."""

from collections.abc import Iterable
from typing import Final

from agentmesh.memory.v1 import memory_pb2 as pb
from agentmesh.types.v1 import types_pb2 as types_pb
from libs.core.errors import FieldViolation, invalid_fields
from libs.core.ids import is_uuid
from libs.core.tokens import estimate_message_tokens
from services.memory.context import Context, Role, Spoken
from services.memory.ports import Record

DEFAULT_PAGE_SIZE: Final = 50
_MAX_PAGE_SIZE: Final = 1_000
_MAX_MESSAGES: Final = 10
_MAX_CONTENT_BYTES: Final = 1_048_576
_MAX_ID_LENGTH: Final = 100
_MAX_BUDGET: Final = 1_000_000
_ROLES: Final = {types_pb.ROLE_USER: Role.USER, types_pb.ROLE_ASSISTANT: Role.ASSISTANT}
_WIRE_ROLES: Final = {role: wire for wire, role in _ROLES.items()}


def record(message: pb.Message, request_id: str) -> Record:
    """How a message of a turn is kept. Takes `message` over: it is filed under `request_id`."""
    message.request_id = request_id
    return Record(message.SerializeToString(), estimate_message_tokens(message.content))


def message(body: bytes) -> pb.Message:
    """A kept message, as it goes out."""
    return pb.Message.FromString(body)


def spoken(kept: Record) -> Spoken:
    """A kept message, as a model may read it."""
    parsed = pb.Message.FromString(kept.body)
    return Spoken(_ROLES[parsed.role], parsed.content, kept.tokens)


def context_response(context: Context, message_count: int) -> pb.GetContextResponse:
    """What GetContext answers about a conversation of `message_count` messages."""
    return pb.GetContextResponse(
        messages=[types_pb.ChatMessage(role=_WIRE_ROLES[said.role], content=said.content) for said in context.messages],
        token_count=context.token_count,
        omitted_count=message_count - context.message_count,
        message_count=message_count,
    )


def validate_append(request: pb.AppendMessagesRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    violations = [*_mutation_faults(request.request_id, request.conversation_id)]
    if not 1 <= len(request.messages) <= _MAX_MESSAGES:
        violations.append(FieldViolation("messages", f"must be 1 to {_MAX_MESSAGES}, got {len(request.messages)}"))
    else:
        for index, each in enumerate(request.messages):
            violations += _message_faults(f"messages[{index}]", each)
    _refuse(violations)


def validate_context(request: pb.GetContextRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    violations = [*_conversation_faults(request.conversation_id)]
    if not 0 <= request.max_tokens <= _MAX_BUDGET:
        violations.append(FieldViolation("max_tokens", f"must be 0 to {_MAX_BUDGET:,}, got {request.max_tokens}"))
    _refuse(violations)


def validate_list(request: pb.ListMessagesRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    violations = [*_conversation_faults(request.conversation_id)]
    if not 0 <= request.page_size <= _MAX_PAGE_SIZE:
        violations.append(FieldViolation("page_size", f"must be 0 to {_MAX_PAGE_SIZE:,}, got {request.page_size}"))
    if request.request_id and not is_uuid(request.request_id):
        violations.append(FieldViolation("request_id", "must be empty or a UUID"))
    _refuse(violations)


def validate_delete(request: pb.DeleteConversationRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    _refuse([*_mutation_faults(request.request_id, request.conversation_id)])


def _mutation_faults(request_id: str, conversation_id: str) -> Iterable[FieldViolation]:
    if not is_uuid(request_id):
        yield FieldViolation("request_id", "must be a UUID")
    yield from _conversation_faults(conversation_id)


def _conversation_faults(conversation_id: str) -> Iterable[FieldViolation]:
    if not 1 <= len(conversation_id) <= _MAX_ID_LENGTH:
        yield FieldViolation("conversation_id", f"must be 1 to {_MAX_ID_LENGTH} characters")


def _message_faults(path: str, message: pb.Message) -> Iterable[FieldViolation]:
    if not 1 <= len(message.message_id) <= _MAX_ID_LENGTH:
        yield FieldViolation(f"{path}.message_id", f"must be 1 to {_MAX_ID_LENGTH} characters")
    if message.role not in _ROLES:
        yield FieldViolation(f"{path}.role", "must be ROLE_USER or ROLE_ASSISTANT")
    if not message.content:
        yield FieldViolation(f"{path}.content", "must not be empty")
    elif len(message.content) > _MAX_CONTENT_BYTES // 4 and len(message.content.encode()) > _MAX_CONTENT_BYTES:
        yield FieldViolation(f"{path}.content", f"must be at most {_MAX_CONTENT_BYTES:,} bytes")
    if message.cost_usd_micros < 0:
        yield FieldViolation(f"{path}.cost_usd_micros", "must not be negative")


def _refuse(violations: list[FieldViolation]) -> None:
    if violations:
        raise invalid_fields(violations)
