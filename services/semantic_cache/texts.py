"""The questions of entries that were near to others: read from the store once, since a question never changes."""

import sys
from typing import Final

from cachetools import LRUCache

_OVERHEAD_BYTES: Final = 200


class QuestionTexts:
    """Texts by entry; the least recently used go first.

    Args:
        max_bytes: about how much memory they may take.
    """

    def __init__(self, max_bytes: int) -> None:
        self._texts: Final[LRUCache[bytes, str]] = LRUCache(
            max_bytes, getsizeof=lambda text: sys.getsizeof(text) + _OVERHEAD_BYTES
        )

    def __contains__(self, entry: bytes) -> bool:
        return entry in self._texts

    def get(self, entry: bytes) -> str | None:
        """The question of an entry, if it is remembered."""
        return self._texts.get(entry)

    def keep(self, entry: bytes, text: str) -> None:
        """Remember a question."""
        if sys.getsizeof(text) + _OVERHEAD_BYTES <= self._texts.maxsize:
            self._texts[entry] = text

    def remove(self, entry: bytes) -> None:
        """Forget one."""
        self._texts.pop(entry, None)

    def clear(self) -> None:
        """Forget all."""
        self._texts.clear()

    def __repr__(self) -> str:
        return f"QuestionTexts({len(self._texts)})"
