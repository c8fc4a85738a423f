"""Exact search for the nearest vectors: one matrix of unit vectors, one product per search."""

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
"""One dimension; components of a unit vector."""

_FIRST_ROWS: Final = 16


class Neighbour(NamedTuple):
    """An entry near to a question."""

    entry: bytes
    similarity: float
    """Cosine, -1 to 1."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry as an index knows it."""

    entry: bytes
    vector: Vector
    expires_at: float
    """Unix seconds."""


class VectorIndex:
    """The vectors of one scope, at most `capacity` of them; the oldest make room for new ones.

    A search reads every row: at a capacity of thousands that takes well under a millisecond and misses nothing, which
    no approximate index can say.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._capacity = capacity
        self._rows: dict[bytes, int] = {}
        self._entries: list[bytes] = []
        self._matrix: NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._expiries: NDArray[np.float64] = np.empty(0, np.float64)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, member: Member) -> None:
        """Put `member` in; it replaces an older vector of the same entry."""
        self.remove(member.entry)
        if len(self._entries) == self._capacity:
            self.remove(next(iter(self._rows)))
        row = len(self._entries)
        self._reserve(row + 1, len(member.vector))
        self._matrix[row] = member.vector
        self._expiries[row] = member.expires_at
        self._entries.append(member.entry)
        self._rows[member.entry] = row

    def remove(self, entry: bytes) -> None:
        """Take an entry out, if it is in."""
        row = self._rows.pop(entry, None)
        if row is None:
            return
        last = len(self._entries) - 1
        if row != last:
            # The last row fills the gap, so that the matrix stays dense.
            self._matrix[row] = self._matrix[last]
            self._expiries[row] = self._expiries[last]
            self._entries[row] = self._entries[last]
            self._rows[self._entries[row]] = row
        self._entries.pop()

    def nearest(self, vector: Vector, count: int, least: float, now: float) -> list[Neighbour]:
        """Up to `count` entries that live at `now` and are at least `least` similar, the most similar first."""
        size = len(self._entries)
        if size == 0:
            return []
        similarities = self._matrix[:size] @ vector
        rows = np.flatnonzero((similarities >= least) & (self._expiries[:size] > now))
        best = rows[np.argsort(-similarities[rows], kind="stable")][:count]
        return [Neighbour(self._entries[row], float(similarities[row])) for row in best]

    def _reserve(self, rows: int, dimension: int) -> None:
        if rows <= len(self._matrix):
            return
        size = min(self._capacity, max(_FIRST_ROWS, 2 * len(self._matrix)))
        matrix = np.empty((size, dimension), np.float32)
        expiries = np.empty(size, np.float64)
        kept = len(self._entries)
        if kept:
            matrix[:kept] = self._matrix[:kept]
            expiries[:kept] = self._expiries[:kept]
        self._matrix, self._expiries = matrix, expiries

    def __repr__(self) -> str:
        return f"VectorIndex({len(self._entries)}/{self._capacity})"
