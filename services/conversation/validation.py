"""What a request must look like. Every fault of a request is named at once."""

from collections.abc import Callable
from typing import Final

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1 import job_pb2
from libs.core.errors import FieldViolation, invalid_fields
from libs.core.ids import is_uuid

_MAX_TITLE: Final = 200
_MAX_MODEL: Final = 100
_MAX_PAGE: Final = 1_000
_MAX_TOKENS: Final = 128_000

SomethingToSay = pb.SendMessageRequest | pb.StreamMessageRequest | job_pb2.SubmitJobRequest


class Faults:
    """Collects what is wrong with one request."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: Final[list[FieldViolation]] = []

    def unless(self, holds: bool, field: str, description: str) -> None:
        """A fault if `holds` is false."""
        if not holds:
            self._found.append(FieldViolation(field, description))

    def refuse(self) -> None:
        """INVALID_ARGUMENT if there is any fault."""
        if self._found:
            raise invalid_fields(self._found)


def say(max_content_bytes: int) -> Callable[[SomethingToSay], None]:
    """Checks what is said, against the limit of the settings."""

    def check(request: SomethingToSay) -> None:
        faults = Faults()
        faults.unless(is_uuid(request.request_id), "request_id", "must be a UUID")
        faults.unless(bool(request.conversation_id), "conversation_id", "must not be empty")
        size = len(request.content.encode())
        faults.unless(size <= max_content_bytes, "content", f"has {size} bytes, at most {max_content_bytes} are taken")
        faults.unless(bool(request.content.strip()), "content", "must not be blank")
        faults.unless(_is_text(request.content), "content", "must be text: it holds control characters")
        options = request.options
        faults.unless(0 <= options.max_tokens <= _MAX_TOKENS, "options.max_tokens", f"must be 0 to {_MAX_TOKENS}")
        faults.unless(len(options.model) <= _MAX_MODEL, "options.model", f"must have at most {_MAX_MODEL} characters")
        faults.unless(options.tier in _TIERS, "options.tier", "is not a tier of this version")
        faults.refuse()

    return check


def create(max_system_prompt_bytes: int) -> Callable[[pb.CreateConversationRequest], None]:
    """Checks a new conversation, against the limit of the settings."""

    def check(request: pb.CreateConversationRequest) -> None:
        faults = Faults()
        faults.unless(is_uuid(request.request_id), "request_id", "must be a UUID")
        faults.unless(len(request.title) <= _MAX_TITLE, "title", f"must have at most {_MAX_TITLE} characters")
        size = len(request.system_prompt.encode())
        faults.unless(
            size <= max_system_prompt_bytes,
            "system_prompt",
            f"has {size} bytes, at most {max_system_prompt_bytes} are taken",
        )
        faults.unless(_is_text(request.title + request.system_prompt), "system_prompt", "must be text")
        faults.refuse()

    return check


def page(request: pb.ListConversationsRequest | pb.ListMessagesRequest) -> None:
    """Checks a page's size; its token is the store's to judge."""
    faults = Faults()
    faults.unless(0 <= request.page_size <= _MAX_PAGE, "page_size", f"must be 0 to {_MAX_PAGE}")
    faults.refuse()


def delete(request: pb.DeleteConversationRequest) -> None:
    """Checks a removal."""
    _mutation(request.request_id, "conversation_id", request.conversation_id)


def cancel(request: job_pb2.CancelJobRequest) -> None:
    """Checks a cancellation."""
    _mutation(request.request_id, "job_id", request.job_id)


def watch(request: job_pb2.WatchJobRequest) -> None:
    """Checks what is watched."""
    faults = Faults()
    faults.unless(bool(request.job_id), "job_id", "must not be empty")
    faults.unless(request.after_revision >= 0, "after_revision", "must not be negative")
    faults.refuse()


def _mutation(request_id: str, field: str, value: str) -> None:
    faults = Faults()
    faults.unless(is_uuid(request_id), "request_id", "must be a UUID")
    faults.unless(bool(value), field, "must not be empty")
    faults.refuse()


_TIERS: Final = frozenset({0, 1, 2, 3})
_CONTROLS: Final = {code: None for code in range(32) if chr(code) not in "\t\n\r"}


def _is_text(content: str) -> bool:
    # str.isprintable covers nearly all text in one C call; only texts with line breaks and the like go on.
    return content.isprintable() or len(content.translate(_CONTROLS)) == len(content)
