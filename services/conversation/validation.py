"""What a request must look like. Every fault of a request is named at once."""

import re
from collections.abc import Callable
from typing import Final

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1 import job_pb2
from libs.core.errors import FieldViolation, invalid_fields
from libs.core.ids import is_uuid

_MAX_ID: Final = 100
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

    def id(self, value: str, field: str) -> None:
        """A fault if `value` cannot be an id of ours; whether there is such a thing is the store's to say."""
        self.unless(0 < len(value) <= _MAX_ID, field, f"must have 1 to {_MAX_ID} characters")

    def text(self, value: str, field: str) -> None:
        """A fault if `value` is not what people write."""
        # str.isprintable covers nearly all text in one C call; only texts with line breaks and the like go on.
        holds = value.isprintable() or _CONTROLS.search(value) is None
        self.unless(holds, field, "must be text: it holds control characters")

    def size(self, value: str, field: str, most: int) -> None:
        """A fault if `value` takes more than `most` bytes of UTF-8."""
        size = len(value.encode())
        self.unless(size <= most, field, f"has {size:,} bytes, at most {most:,} are taken")

    def request_id(self, value: str) -> None:
        """A fault if `value` is not a UUID."""
        self.unless(is_uuid(value), "request_id", "must be a UUID")

    def refuse(self) -> None:
        """INVALID_ARGUMENT if there is any fault."""
        if self._found:
            raise invalid_fields(self._found)


def say(max_content_bytes: int) -> Callable[[SomethingToSay], None]:
    """Checks what is said, against the limit of the settings."""

    def check(request: SomethingToSay) -> None:
        faults = Faults()
        faults.request_id(request.request_id)
        faults.id(request.conversation_id, "conversation_id")
        faults.size(request.content, "content", max_content_bytes)
        faults.unless(bool(request.content.strip()), "content", "must not be blank")
        faults.text(request.content, "content")
        options = request.options
        faults.unless(0 <= options.max_tokens <= _MAX_TOKENS, "options.max_tokens", f"must be 0 to {_MAX_TOKENS:,}")
        faults.unless(len(options.model) <= _MAX_MODEL, "options.model", f"must have at most {_MAX_MODEL} characters")
        faults.text(options.model, "options.model")
        faults.unless(
            _LANGUAGE.fullmatch(options.language) is not None,
            "options.language",
            "must be a language tag: at most 35 letters, digits and hyphens",
        )
        faults.unless(options.tier in _TIERS, "options.tier", "is not a tier of this version")
        faults.refuse()

    return check


def create(max_system_prompt_bytes: int) -> Callable[[pb.CreateConversationRequest], None]:
    """Checks a new conversation, against the limit of the settings."""

    def check(request: pb.CreateConversationRequest) -> None:
        faults = Faults()
        faults.request_id(request.request_id)
        faults.unless(len(request.title) <= _MAX_TITLE, "title", f"must have at most {_MAX_TITLE} characters")
        faults.text(request.title, "title")
        faults.size(request.system_prompt, "system_prompt", max_system_prompt_bytes)
        faults.text(request.system_prompt, "system_prompt")
        faults.refuse()

    return check


def conversation(request: pb.GetConversationRequest) -> None:
    """Checks which conversation is asked for."""
    faults = Faults()
    faults.id(request.conversation_id, "conversation_id")
    faults.refuse()


def conversations(request: pb.ListConversationsRequest) -> None:
    """Checks a page's size; its token is the store's to judge."""
    faults = Faults()
    _page_size(faults, request.page_size)
    faults.refuse()


def messages(request: pb.ListMessagesRequest) -> None:
    """Checks which page of which conversation is asked for."""
    faults = Faults()
    faults.id(request.conversation_id, "conversation_id")
    _page_size(faults, request.page_size)
    faults.refuse()


def delete(request: pb.DeleteConversationRequest) -> None:
    """Checks a removal."""
    faults = Faults()
    faults.request_id(request.request_id)
    faults.id(request.conversation_id, "conversation_id")
    faults.refuse()


def job(request: job_pb2.GetJobRequest) -> None:
    """Checks which job is asked for."""
    faults = Faults()
    faults.id(request.job_id, "job_id")
    faults.refuse()


def cancel(request: job_pb2.CancelJobRequest) -> None:
    """Checks a cancellation."""
    faults = Faults()
    faults.request_id(request.request_id)
    faults.id(request.job_id, "job_id")
    faults.refuse()


def watch(request: job_pb2.WatchJobRequest) -> None:
    """Checks what is watched."""
    faults = Faults()
    faults.id(request.job_id, "job_id")
    faults.unless(request.after_revision >= 0, "after_revision", "must not be negative")
    faults.refuse()


def _page_size(faults: Faults, size: int) -> None:
    faults.unless(0 <= size <= _MAX_PAGE, "page_size", f"must be 0 to {_MAX_PAGE:,}")


_LANGUAGE: Final = re.compile("[A-Za-z0-9-]{0,35}")
_TIERS: Final = frozenset({0, 1, 2, 3})
# The control characters of Unicode (Cc) but tab, the two ends of a line, and NEL, which old systems end lines with.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
