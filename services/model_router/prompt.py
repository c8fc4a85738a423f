"""What a model is asked, and the rules that depend on the words alone."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from libs.core.tokens import estimate_message_tokens, estimate_tokens

_SHORTEST_CACHEABLE_TOKENS: Final = 1024
"""The provider ignores cache marks on less than this (on some models on less than 4096, which does no harm)."""


class Role(IntEnum):
    """Who said something; the numbers are those of the contract."""

    USER = 1
    ASSISTANT = 2


class Tier(IntEnum):
    """How capable a model is asked for; the numbers are those of the contract."""

    FAST = 1
    BALANCED = 2
    DEEP = 3


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What to generate, valid as it is."""

    request_id: str
    messages: tuple[Message, ...]
    """Oldest first; never empty; the last is the user's."""
    system_prompt: str = ""
    tier: Tier | None = None
    """None asks for the service's default."""
    model: str = ""
    """The one model that may answer; empty leaves the choice to the tier."""
    max_tokens: int = 0
    """0 asks for the service's default."""
    temperature: float | None = None


def prompt_tokens(request: GenerationRequest) -> int:
    """About how many tokens the prompt has, rather too many than too few."""
    total = estimate_tokens(request.system_prompt) if request.system_prompt else 0
    return total + sum(estimate_message_tokens(message.content) for message in request.messages)


def worth_caching(system_prompt: str) -> bool:
    """Whether the provider should keep the instructions: the part of a prompt that many calls share.

    Writing costs a quarter more than reading afresh and a hit a tenth, so two calls in five minutes pay for it.
    """
    # The first test spares short prompts the encoding: a token has at least one byte.
    return len(system_prompt) > _SHORTEST_CACHEABLE_TOKENS // 4 and (
        estimate_tokens(system_prompt) >= _SHORTEST_CACHEABLE_TOKENS
    )
