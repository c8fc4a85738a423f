"""What came out of asking models: tokens, tries, the answer's end."""

from dataclasses import dataclass
from enum import IntEnum

from libs.core.money import UsdMicros


class StopReason(IntEnum):
    """Why a model stopped; the numbers are those of the contract."""

    UNSPECIFIED = 0
    END_TURN = 1
    MAX_TOKENS = 2
    STOP_SEQUENCE = 3
    REFUSAL = 4


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens; none is counted twice."""

    input_tokens: int = 0
    """Prompt tokens that no cache held."""
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, however it was read."""
        return self.input_tokens + self.cache_read_input_tokens + self.cache_creation_input_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_input_tokens + other.cache_read_input_tokens,
            self.cache_creation_input_tokens + other.cache_creation_input_tokens,
        )


@dataclass(frozen=True, slots=True)
class Hop:
    """One try at one model."""

    model: str
    failure: str
    """Empty if it answered; otherwise the provider's word, such as `overloaded_error`, or `cancelled`."""
    duration: float
    """Seconds."""
    time_to_first_text: float | None
    """Seconds from the try's start; None if no text came."""
    usage: Usage
    """As far as it is known."""
    cost_usd_micros: UsdMicros


@dataclass(frozen=True, slots=True)
class Generated:
    """The end of a generation."""

    text: str
    """The whole answer; empty if it was streamed."""
    model: str
    stop_reason: StopReason
    usage: Usage
    """Of the try that answered."""
    cost_usd_micros: UsdMicros
    """Of all tries."""
    hops: tuple[Hop, ...]
    time_to_first_text: float
    """Seconds since the call arrived."""
