"""What a conversation needs from outside. Adapters implement these; tests bring fakes that subclass them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from services.conversation.turn import (
    Answer,
    Message,
    Options,
    Owner,
    Report,
    Role,
    StopReason,
    TextPart,
    Turn,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation's record; times in Unix seconds."""

    conversation_id: str
    title: str
    system_prompt: str
    create_time: float
    update_time: float
    turn_count: int


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a listing; `next_token` is empty on the last one."""

    items: tuple[T, ...]
    next_token: str


class ConversationStore(Protocol):
    """The records of conversations. All calls raise STORE_UNAVAILABLE when the store cannot be reached."""

    async def create(self, owner: Owner, request_id: str, new: Conversation) -> Conversation:
        """Keep `new`, or return what the same request_id made before.

        Raises REQUEST_ID_REUSED if that had another title or system prompt, NOT_FOUND if it was deleted since.
        """
        ...

    async def get(self, owner: Owner, conversation_id: str) -> Conversation | None:
        """The record, or None if the owner has none of that id, or one that is being removed."""
        ...

    async def list(self, owner: Owner, size: int, token: str) -> Page[Conversation]:
        """The latest made first. Raises INVALID_PAGE_TOKEN for a token it did not give."""
        ...

    async def begin_delete(self, owner: Owner, conversation_id: str) -> bool:
        """From now on the conversation is missing to everything but its removal. False if there is no record."""
        ...

    async def delete(self, owner: Owner, conversation_id: str, request_id: str) -> None:
        """Remove the record, and remember for a day that this request did."""
        ...

    async def deleted_by(self, owner: Owner, request_id: str) -> str:
        """The id of the conversation that a request removed, empty if it removed none."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """The turn is ours until the lease ends."""

    attempt: int
    """1 at first; more if an earlier holder's lease ran out."""
    system_prompt: str
    context_fingerprint: str
    """Digest of the whole history so far; empty before the first turn."""
    turn_count: int = 0
    """How many turns were answered before this one."""
    staged: Answer | None = None
    """The answer an earlier holder had ready but could not finish."""


@dataclass(frozen=True, slots=True)
class Done:
    """The turn was finished before, with this answer."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Busy:
    """Another holder works on it, for at most `seconds` more unless it renews."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TurnRequestKey:
    """What identifies a turn, and the digest that tells a retry from a reuse of its id."""

    owner: Owner
    conversation_id: str
    request_id: str
    digest: str


class TurnLedger(Protocol):
    """Who works on which request_id, and what came out: what makes a retried send safe."""

    async def begin(self, request: TurnRequestKey, holder: str) -> Begun | Done | Busy:
        """Claim a turn. Raises NOT_FOUND (no such conversation) and REQUEST_ID_REUSED (same id, other content)."""
        ...

    async def renew(self, request: TurnRequestKey, holder: str) -> bool:
        """Prolong the lease; False if it was lost."""
        ...

    async def stage(self, request: TurnRequestKey, holder: str, answer: Answer) -> None:
        """Keep an answer that is not finished yet, so that whoever claims the turn next gives the same one.

        Raises REQUEST_IN_PROGRESS if the claim was lost.
        """
        ...

    async def finish(self, request: TurnRequestKey, answer: Answer, turn_digest: str) -> Answer:
        """Record the answer and move the conversation on. If another holder finished first, its answer.

        Raises NOT_FOUND if the conversation was deleted meanwhile.
        """
        ...

    async def abandon(self, request: TurnRequestKey, holder: str) -> None:
        """Give the claim back, so that a retry need not wait for the lease to end."""
        ...


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message as a model reads it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Recollection:
    """What memory gives to read before the next answer."""

    messages: tuple[ChatMessage, ...]
    """Oldest first."""
    message_count: int
    """All messages memory has of the conversation, those left out included."""


class History(Protocol):
    """What was said. Acts for the principal of the current request."""

    async def context(self, conversation_id: str, query: str, max_tokens: int) -> Recollection:
        """The history worth reading before the next answer."""
        ...

    async def append(self, turn: Turn) -> bool:
        """Keep a turn. False if its request_id was appended before: then nothing was added, whatever it holds.

        Raises NOT_FOUND if the conversation was deleted.
        """
        ...

    async def find_turn(self, conversation_id: str, request_id: str) -> Answer | None:
        """The answer kept under a request_id, if its turn was appended."""
        ...

    async def list(self, conversation_id: str, size: int, token: str) -> Page[Message]:
        """Oldest first."""
        ...

    async def delete(self, conversation_id: str, request_id: str) -> None:
        """Forget a conversation."""
        ...


class Outbox(Protocol):
    """Turns that memory could not take yet."""

    async def add(self, turn: Turn) -> None:
        """Keep a turn, durably, until it is delivered."""
        ...


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What a model is asked."""

    request_id: str
    messages: tuple[ChatMessage, ...]
    system_prompt: str
    options: Options
    streaming: bool


@dataclass(frozen=True, slots=True)
class Generated:
    """The end of a generation."""

    model: str
    stop_reason: StopReason
    usage: Usage
    cost_usd_micros: int
    fallback_count: int


class Models(Protocol):
    """The model router."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[TextPart | Generated, None]:
        """Text as it is written, then how it ended. Closing the iterator early cancels the provider's request."""
        ...


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """A turn as monitoring counts it."""

    owner: Owner
    duration: float
    """Seconds from the request's arrival to its end."""
    report: Report | None = None
    """What happened, if it was answered."""
    error_reason: str = ""
    """The catalogue's reason, if it was not."""

    def lasting(self, duration: float) -> "TurnOutcome":
        """The same, having taken so long."""
        return replace(self, duration=duration)


class Usages(Protocol):
    """Where turns are reported; never blocks, never fails."""

    def turn_ended(self, outcome: TurnOutcome) -> None:
        """Count a turn."""
        ...
