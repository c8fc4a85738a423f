"""What two questions have in common as words, which is what an embedding blurs."""

import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_IDLE_WORDS: Final = (
    "a an the is are was were be been am do does did can could would will shall should may might must have has had "
    "i me my mine you your we our us it its he she they them their this that these those of to in on at for from by "
    "with as and or but if so than then there here what which who whom whose when where why how please tell let know "
    "want need like just some any about get give not no s t m d ll ve re"
)
_IDLE: Final = frozenset(_IDLE_WORDS.split())
_VERBS: Final = "is are was were do does did can could has have had should would will may must"
_CLOSED: Final = frozenset(_VERBS.split())
_ASKING: Final = _CLOSED | frozenset({"what", "which", "who", "whom", "whose", "when", "where", "why", "how"})
# Enough to bring "cards" to "card" and "booking" to "book"; what it gets wrong, it gets wrong in both texts.
_ENDINGS: Final = ("ing", "ies", "ed", "es", "s", "ly")
_GRAM: Final = 3


@dataclass(frozen=True, slots=True)
class Wording:
    """A text taken apart, to be compared with others."""

    words: frozenset[str]
    """Casefolded."""
    content: frozenset[str]
    """The stems of the words that carry meaning."""
    line: str
    """The words with a space around each."""
    asks: str
    """The first question word, or nothing."""
    closed: bool
    """Whether it asks for yes or no."""
    length: int
    """Words."""

    @property
    def grams(self) -> frozenset[str]:
        """Three letters in a row: alike for words that are spelt or inflected a little differently."""
        # Taken apart when asked for: of a lookup's texts only two are compared by them.
        line = self.line
        return frozenset([line[start : start + _GRAM] for start in range(len(line) - _GRAM + 1)])


def wording(text: str) -> Wording:
    """Take `text` apart."""
    words = _WORD.findall(text.casefold())
    bag = frozenset(words)
    return Wording(
        words=bag,
        content=frozenset([_stem(word) for word in bag - _IDLE]),
        line=f" {' '.join(words)} ",
        asks=next((word for word in words if word in _ASKING), ""),
        closed=words[:1] != [] and words[0] in _CLOSED and words[1:2] != ["you"],
        length=len(words),
    )


def dice(one: Set[str], other: Set[str]) -> float:
    """How much of two sets is in both, 0 to 1: `2 |A and B| / (|A| + |B|)`; 1 if both are empty."""
    size = len(one) + len(other)
    return 2 * len(one & other) / size if size else 1.0


def _stem(word: str) -> str:
    if not word.endswith(_ENDINGS):
        return word
    for ending in _ENDINGS:
        if len(word) > len(ending) + 3 and word.endswith(ending):
            return word[: -len(ending)]
    return word
