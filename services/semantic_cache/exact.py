"""The topmost layer: answers to the very same texts, in this process's memory."""

from collections import OrderedDict
from typing import NamedTuple

from services.semantic_cache.entry import Entry


class ExactStatistics(NamedTuple):
    """A snapshot of the layer."""

    entries: int
    size_bytes: int
    evicted: int
    """Entries dropped because the space was needed."""


class ExactCache:
    """Least recently used entries go first when `max_bytes` is reached; expired ones are never given out.

    Args:
        max_bytes: about how much memory it may take; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must not be negative, got {max_bytes}")
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._size_bytes = 0
        self._evicted = 0

    def get(self, key: bytes, now: float) -> Entry | None:
        """The entry under `key`, unless it has expired at `now` (Unix seconds)."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Entry) -> None:
        """Keep `entry` in place of what was under `key`; one larger than the whole cache is not kept."""
        if key in self._entries:
            self._drop(key)
        if entry.size_bytes > self._max_bytes:
            return
        self._entries[key] = entry
        self._size_bytes += entry.size_bytes
        while self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self._evicted += 1

    def statistics(self) -> ExactStatistics:
        """What it holds now."""
        return ExactStatistics(len(self._entries), self._size_bytes, self._evicted)

    def _drop(self, key: bytes) -> None:
        self._size_bytes -= self._entries.pop(key).size_bytes

    def __repr__(self) -> str:
        return f"ExactCache({len(self._entries)} entries, {self._size_bytes}/{self._max_bytes} bytes)"
