"""Two readings side by side."""

from dataclasses import dataclass
from typing import Self, TypeAlias

from services.semantic_cache.guards.reading import Reading

Gap: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""What each side has between what both begin with alike and what both end with alike."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """What one text has and the other has not."""

    one: Reading
    other: Reading
    left: frozenset[str]
    """Stems of words that only `one` has."""
    right: frozenset[str]
    """Stems of words that only `other` has."""
    gap: Gap
    """Where their content differs."""
    same_content: bool
    """They are about the same, in whatever order."""

    @classmethod
    def of(cls, one: Reading, other: Reading) -> Self:
        """Compares in time linear in the texts' lengths."""
        gap = _gap(one.meanings, other.meanings)
        same = sorted(gap[0]) == sorted(gap[1])
        return cls(one, other, one.stems - other.stems, other.stems - one.stems, gap, same)

    @property
    def shared(self) -> int:
        """How many content words both begin or end with."""
        return len(self.one.meanings) - len(self.gap[0])

    def is_one_edit(self) -> bool:
        """Whether the texts are alike to the small words but for one place, where content stands against content."""
        spoken = _gap(self.one.words, self.other.words)
        return len(spoken[0]) == len(self.gap[0]) and len(spoken[1]) == len(self.gap[1])


def _gap(first: tuple[str, ...], second: tuple[str, ...]) -> Gap:
    shorter = min(len(first), len(second))
    begin = 0
    while begin < shorter and first[begin] == second[begin]:
        begin += 1
    end = 0
    while end < shorter - begin and first[-1 - end] == second[-1 - end]:
        end += 1
    return first[begin : len(first) - end], second[begin : len(second) - end]
