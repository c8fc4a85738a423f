"""The service's key space. Everything of one user shares a hash tag, so that one script may touch all of it."""

from typing import NamedTuple
from urllib.parse import quote

from services.memory.ports import ConversationKey


class ConversationKeys(NamedTuple):
    """The Redis keys of one conversation, in the order that the scripts take them."""

    messages: str
    """LIST of message bodies, oldest first."""
    tokens: str
    """LIST of their token counts, index for index."""
    requests: str
    """HASH: request_id -> `<index of its first message>:<number of messages>`."""
    deleted: str
    """STRING, the tombstone: `<request_id of the deletion>:<messages removed>`; expires."""


def keys_of(key: ConversationKey) -> ConversationKeys:
    """Where a conversation is kept. Ids are quoted, so that none can imitate another's keys."""
    conversation = _quoted(key.conversation_id)
    base = f"memory:{{{key.tenant_id}:{_quoted(key.user_id)}}}:conversation:{conversation}"
    return ConversationKeys(f"{base}:messages", f"{base}:tokens", f"{base}:requests", f"{base}:deleted")


def _quoted(text: str) -> str:
    # Nearly every id is alphanumeric; quoting those too would cost more than the rest of this module.
    return text if text.isascii() and text.isalnum() else quote(text, safe="")
