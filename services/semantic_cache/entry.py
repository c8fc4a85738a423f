"""What is kept: answers, and which other questions they were found to answer."""

import sys
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

# What the objects around the texts take, in bytes: dataclasses, numbers, an alias, a place in a dictionary.
_OVERHEAD_BYTES: Final = 1_250
# A place in a tuple; and an object of its own for each mark, and for each number that Python does not share.
_PLACE_BYTES: Final = 8
_MARK_BYTES: Final = 48
_NUMBER_BYTES: Final = 28
_SHARED_NUMBERS: Final = 256
_GROUP_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the making of an answer took."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A question, its answer, and until when it may be reused. Times are Unix seconds unless they say otherwise."""

    question: str
    answer: str
    model: str
    usage: Usage
    cost_usd_micros: int
    created_at: float
    expires_at: float
    """Absolute: no hit prolongs an entry's life."""
    asked_at: int
    """When the making of the answer began, in microseconds of the store's clock: what was invalidated later is dead,
    even if it arrives only then. 0 on one that the store has not seen: older than anything."""
    marks: tuple[bytes, ...]
    """What it can be invalidated by: `Scope.marks()`, `user_mark` of who put it, and `tag_mark` of its tags."""
    pieces: tuple[int, ...] = ()
    """Lengths in characters of the pieces it was streamed in; empty: one piece."""

    @property
    def size_bytes(self) -> int:
        """About what it takes of a process's memory."""
        long_pieces = sum(length > _SHARED_NUMBERS for length in self.pieces)
        return (
            sys.getsizeof(self.question)
            + sys.getsizeof(self.answer)
            + _PLACE_BYTES * len(self.pieces)
            + _NUMBER_BYTES * long_pieces
            + (_PLACE_BYTES + _MARK_BYTES) * len(self.marks)
            + _OVERHEAD_BYTES
        )


@dataclass(frozen=True, slots=True)
class Alias:
    """What a hit by meaning leaves behind: the decision's input, so that asking again needs no embedding.

    It holds no text. Every further hit decides anew, by what has been learned since.
    """

    target: bytes
    """The entry that was found; in the same scope."""
    group: bytes
    """Its group, 8 bytes."""
    similarity: float
    """Of the two questions."""
    features: bytes
    """What the decision was made from, packed by `learning.features`; of the same embedding space as the store's."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept for a text: an answer to that very text, or one that was found to answer it too."""

    entry: Entry
    alias: Alias | None = None


def answer_group(answer: str) -> bytes:
    """The group of answers that read the same: equal but for case and the space between words."""
    return blake2b(" ".join(answer.casefold().split()).encode(), digest_size=_GROUP_BYTES).digest()
