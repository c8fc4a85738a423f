"""An answer cut into tokens: one delta of a stream is one output token."""

import re
from dataclasses import dataclass
from typing import Final

# Words of up to ten letters, longer ones in parts, and every mark by itself; the space before goes with it. English
# comes out at about 1.3 tokens a word, as with a real tokenizer.
_PIECE: Final = re.compile(r"\s*(?:\w{1,10}|[^\w\s])|\s+\Z")


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model says and why it stopped there."""

    pieces: tuple[str, ...]
    stop_reason: str
    """`end_turn`, `max_tokens` or `stop_sequence`."""
    stop_sequence: str | None = None

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """Output tokens: one a piece."""
        return len(self.pieces)


def split(text: str) -> tuple[str, ...]:
    """`text` in pieces of about a word each; joined they are `text` again."""
    return tuple(_PIECE.findall(text))


def complete(answer: str, max_tokens: int, stop_sequences: tuple[str, ...]) -> Completion:
    """`answer` as far as the first stop sequence in it and `max_tokens` let it go."""
    found = [(at, sequence) for sequence in stop_sequences if (at := answer.find(sequence)) >= 0]
    at, sequence = min(found) if found else (len(answer), None)
    pieces = split(answer[:at])
    if len(pieces) > max_tokens:
        return Completion(pieces[:max_tokens], "max_tokens")
    return Completion(pieces, "stop_sequence" if sequence is not None else "end_turn", sequence)
