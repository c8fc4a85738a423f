"""What is reported: a turn of a conversation, or one call of a model."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens as the provider counted them."""

    uncached_input: int = 0
    """Input that no cache held."""
    output: int = 0
    """Written by the model."""
    cache_read: int = 0
    """Input read from the provider's prompt cache."""
    cache_creation: int = 0
    """Input written to the provider's prompt cache."""

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.uncached_input + other.uncached_input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_creation + other.cache_creation,
        )


NO_TOKENS: Final = Tokens()


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn, as the front door saw it."""

    duration_ms: float
    failed: bool = False
    cache_hit: bool = False
    """Whether any layer of the cache answered."""
    degraded: bool = False
    """Whether a part of the mesh was missing."""
    saved_usd_micros: int = 0
    """What the cached answer saved."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One generation, all tries together, as the model router saw it."""

    model: str
    """The model that answered, or was tried last."""
    tokens: Tokens = NO_TOKENS
    cost_usd_micros: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was used."""

    tenant_id: str
    ended_at: float
    """Unix seconds."""
    what: Turn | ModelCall
