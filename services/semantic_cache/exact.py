"""The topmost layer: answers to the very same texts, in this process's memory."""

from collections.abc import Set
from typing import Final, NamedTuple

from cachetools import LRUCache

from services.semantic_cache.entry import Kept


class ExactStatistics(NamedTuple):
    """A snapshot of the layer."""

    entries: int
    size_bytes: int
    evicted: int
    """Entries dropped because the space was needed."""


class _Counting(LRUCache[bytes, Kept]):
    """Least recently used entries go first, by size."""

    evicted = 0

    def popitem(self) -> tuple[bytes, Kept]:
        """Make room."""
        self.evicted += 1
        return super().popitem()


class ExactCache:
    """Least recently used entries go first when `max_bytes` is reached; expired ones are never given out.

    Args:
        max_bytes: about how much memory it may take; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must not be negative, got {max_bytes}")
        self._entries: Final = _Counting(max_bytes, getsizeof=lambda kept: kept.entry.size_bytes)

    def get(self, key: bytes, now: float) -> Kept | None:
        """What is under `key`, unless it has expired at `now` (Unix seconds)."""
        kept: Kept | None = self._entries.get(key)
        if kept is None:
            return None
        if kept.entry.expires_at <= now:
            del self._entries[key]
            return None
        return kept

    def put(self, key: bytes, kept: Kept) -> None:
        """Keep it in place of what was under `key`; what is larger than the whole cache is not kept."""
        self._entries.pop(key, None)
        if kept.entry.size_bytes <= self._entries.maxsize:
            self._entries[key] = kept

    def remove(self, key: bytes) -> None:
        """Drop what is under `key`, if anything is."""
        self._entries.pop(key, None)

    def drop(self, marks: Set[bytes]) -> None:
        """Drop what is under one of `marks` or bears one. What is dead is never given out; this is to keep no text."""
        dead = [key for key, kept in self._entries.items() if key in marks or not marks.isdisjoint(kept.entry.marks)]
        for key in dead:
            del self._entries[key]

    def clear(self) -> None:
        """Drop everything."""
        for key in list(self._entries):
            del self._entries[key]

    def statistics(self) -> ExactStatistics:
        """What it holds now."""
        return ExactStatistics(len(self._entries), int(self._entries.currsize), self._entries.evicted)

    def __repr__(self) -> str:
        return f"ExactCache({len(self._entries)} entries, {self._entries.currsize}/{self._entries.maxsize} bytes)"
