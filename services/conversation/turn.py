"""The words of a turn: what is asked, what is answered, what happened in between."""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Self


class OpenEnum(IntEnum):
    """Numbers of a contract that may grow: one that this version does not know reads as 0, not specified."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls(0) if isinstance(value, int) and value else None


class Role(IntEnum):
    """Who said something; the numbers are those of the contract."""

    USER = 1
    ASSISTANT = 2


class Tier(OpenEnum):
    """How capable a model is asked for; the numbers are those of the contract."""

    UNSPECIFIED = 0
    FAST = 1
    BALANCED = 2
    DEEP = 3


class CacheLayer(OpenEnum):
    """Which layer of the cache answered; the numbers are those of the contract."""

    NONE = 0
    EXACT_MEMORY = 1
    EXACT_REDIS = 2
    SEMANTIC = 3


class Route(OpenEnum):
    """The step an answer came from; the numbers are those of the contract."""

    UNSPECIFIED = 0
    MODEL = 1
    CACHE = 2
    FALLBACK = 3


class StopReason(OpenEnum):
    """Why a model stopped; the numbers are those of the router's contract."""

    UNSPECIFIED = 0
    END_TURN = 1
    MAX_TOKENS = 2
    STOP_SEQUENCE = 3
    REFUSAL = 4


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose data it is. Every key of the store begins with both parts, so nobody reaches another's."""

    tenant_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """How the caller wants the answer made."""

    tier: Tier = Tier.UNSPECIFIED
    model: str = ""
    max_tokens: int = 0
    bypass_cache: bool = False
    language: str = ""
    """A BCP 47 tag; empty leaves it to the model."""


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """One thing said, by its owner, in one conversation."""

    owner: Owner
    conversation_id: str
    request_id: str
    content: str
    options: Options = field(default_factory=Options)
    streaming: bool = False
    """Whether text should be passed on while it is written, which costs more."""


@dataclass(frozen=True, slots=True)
class Message:
    """What was said, as it is kept."""

    message_id: str
    role: Role
    content: str
    create_time: float
    """Unix seconds."""
    request_id: str


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in a turn; money in micro-dollars, times in seconds."""

    model: str = ""
    usage: Usage = field(default_factory=Usage)
    cost_usd_micros: int = 0
    saved_usd_micros: int = 0
    cache_layer: CacheLayer = CacheLayer.NONE
    cache_similarity: float = 0.0
    route: Route = Route.UNSPECIFIED
    confidence: float = 0.0
    degraded: tuple[str, ...] = ()
    trace_id: str = ""
    replayed: bool = False
    time_to_first_text: float = 0.0
    duration: float = 0.0
    fallback_count: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The agent's message and how it came about."""

    message: Message
    report: Report

    def as_replay(self) -> "Answer":
        """The same answer, marked as a recorded one: it cost nothing this time, but says what it had cost."""
        return Answer(self.message, replace(self.report, replayed=True))


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn on its way to memory."""

    owner: Owner
    conversation_id: str
    request_id: str
    question: Message
    answer: Answer


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text that follows what came before."""

    text: str


TurnEvent = TextPart | Answer
"""What a running turn gives: any number of parts, then the answer."""
