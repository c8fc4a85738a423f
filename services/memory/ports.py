"""What memory needs from outside. The Redis adapter implements it; tests bring a fake that subclasses it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ConversationKey:
    """Whose conversation: the tenant and the user are always those of the caller's token."""

    tenant_id: str
    user_id: str
    conversation_id: str


@dataclass(frozen=True, slots=True)
class Record:
    """A message as it is kept."""

    body: bytes
    """The message itself; the store does not look inside."""
    tokens: int
    """What it takes of a model's context, estimated when it was appended."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append left behind."""

    message_count: int
    duplicate: bool
    """Nothing was added: the request had been appended before, or the conversation was deleted."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest messages of a conversation, oldest first."""

    records: tuple[Record, ...]
    message_count: int
    """All messages of the conversation, also those not in `records`."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of a listing, oldest first."""

    bodies: tuple[bytes, ...]
    more: bool
    """Whether something follows."""


class History(Protocol):
    """Conversations, durable. Each call is one atomic step; all raise STORE_UNAVAILABLE if the store is away."""

    async def append(self, key: ConversationKey, request_id: str, records: Sequence[Record]) -> Appended:
        """Add a turn at the end, once per request_id; to a deleted conversation it adds nothing."""
        ...

    async def tail(self, key: ConversationKey, max_tokens: int, max_messages: int, at_least: int = 0) -> Tail:
        """The newest messages that together take at most `max_tokens`, and at most `max_messages` of them.

        Args:
            key: whose conversation.
            max_tokens: of all together.
            max_messages: how many, at most.
            at_least: how many to bring, if there are as many, whatever they take.
        """
        ...

    async def slice(self, key: ConversationKey, request_id: str, offset: int, limit: int) -> Slice:
        """Messages from `offset` on, of one turn if `request_id` is not empty."""
        ...

    async def delete(self, key: ConversationKey, request_id: str) -> int:
        """Remove the conversation and refuse later appends to it; the same request_id gets the same count again."""
        ...
