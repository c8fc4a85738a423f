"""An answer that is kept."""

import sys
from dataclasses import dataclass
from typing import Final

# What the objects around the two texts take, in bytes: dataclasses, numbers, a digest, a place in a dictionary.
_OVERHEAD_BYTES: Final = 900


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the making of an answer took."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A question, its answer, and until when it may be reused. Times are Unix seconds."""

    question: str
    """The question that was answered; for an alias not the one it is filed under."""
    answer: str
    model: str
    usage: Usage
    cost_usd_micros: int
    created_at: float
    expires_at: float
    """Absolute: no hit prolongs an entry's life."""
    similarity: float = 1.0
    """Of `question` to the text it is filed under: below 1 for an alias, which a hit by meaning leaves behind."""

    @property
    def size_bytes(self) -> int:
        """About what it takes of a process's memory."""
        return sys.getsizeof(self.question) + sys.getsizeof(self.answer) + _OVERHEAD_BYTES
