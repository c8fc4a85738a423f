"""The members of one scope in arrays: who sits in which row, until when, and how similar a row is to a question."""

from collections import OrderedDict
from collections.abc import Generator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.index.contents import Contents
from services.semantic_cache.index.member import Member, Neighbour
from services.semantic_cache.index.similarity import Half, cosines, greatest

RowNumbers: TypeAlias = NDArray[np.intp]
Selection: TypeAlias = "slice | RowNumbers"
"""Rows to look at: a stretch of them, or one by one and none twice."""
Copied: TypeAlias = tuple[Contents, NDArray[np.bool_]]
"""Members, and which of them are to be kept."""

_FIRST_ROWS: Final = 4
_LARGEST_STEP: Final = 4_096
"""Rows by which the arrays grow at most: to clear so many takes a millisecond at 384 dimensions."""
_SWEPT: Final = 16
_WORTH_SEATING_ANEW: Final = 1_024
_PLACE_BYTES: Final = 320
"""What a member takes besides its part of the arrays: its digest and its place in the dictionary."""


class Rows:
    """Members and their rows. A member keeps its row until it leaves; the next to come takes the row.

    Args:
        dimension: components of every vector.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension: Final = dimension
        self._hand = self._writes = self._seatings = 0
        self._row_of: OrderedDict[bytes, int] = OrderedDict()
        self._entries: list[bytes] = []
        self._free: list[int] = []
        self._allot(_FIRST_ROWS)

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def used(self) -> int:
        """Rows from the first to the last that was ever given, empty ones among them."""
        return len(self._entries)

    @property
    def sparse(self) -> bool:
        """Whether most of many rows are empty."""
        return self.used > max(_WORTH_SEATING_ANEW, 2 * len(self._row_of))

    @property
    def nbytes(self) -> int:
        """Bytes that members and rows take."""
        arrays = (self._vectors, self._groups, self._created, self._expires, self._written)
        return sum(array.nbytes for array in arrays) + _PLACE_BYTES * len(self._row_of)

    def row_of(self, entry: bytes) -> int | None:
        """Where a member sits, if it is in."""
        return self._row_of.get(entry)

    def oldest(self) -> int:
        """The row of the member that came, or was renewed, before all others."""
        return next(iter(self._row_of.values()))

    def occupied(self) -> list[int]:
        """The rows with members, the oldest member's first."""
        return list(self._row_of.values())

    def vectors(self, rows: list[int]) -> Half:
        """A copy of the vectors in `rows`."""
        return self._vectors[rows]

    def put(self, member: Member, vector: Half) -> int:
        """Seat a member that is not in; returns its row."""
        if self._free:
            row = self._free.pop()
            self._entries[row] = member.entry
        else:
            row = len(self._entries)
            self._entries.append(member.entry)
            self._reserve(row + 1)
        self._row_of[member.entry] = row
        self._vectors[row] = vector
        self._writes += 1
        self._written[row] = self._writes
        self.renew(row, member)
        return row

    def renew(self, row: int, member: Member) -> None:
        """Write down anew what is known of the member in `row`, except its vector; it is the youngest now."""
        self.regroup(row, member.group)
        self._created[row] = member.created_at
        self._expires[row] = member.expires_at
        self._row_of.move_to_end(member.entry)

    def regroup(self, row: int, group: bytes) -> None:
        """Change the group of the member in `row`."""
        self._groups[row] = int.from_bytes(group, "big")

    def leave(self, row: int) -> None:
        """Empty a row."""
        del self._row_of[self._entries[row]]
        self._entries[row] = b""
        # To a search an empty row is a member that expired before any time.
        self._expires[row] = -np.inf
        self._free.append(row)

    def same_vector(self, row: int, vector: Half) -> bool:
        """Whether `row` has just this vector."""
        return bool(np.array_equal(self._vectors[row], vector))

    def expired(self, now: float) -> list[int]:
        """Rows whose members expired by `now`, of a few that are looked at; the next call looks at the next few."""
        start = self._hand if self._hand < self.used else 0
        self._hand = start + _SWEPT
        stretch = self._expires[start : min(self._hand, self.used)]
        return [start + int(row) for row in np.flatnonzero((stretch <= now) & (stretch > -np.inf))]

    def best(self, query: Half, rows: Selection, count: int, now: float) -> list[tuple[int, float]]:
        """Up to `count` of `rows` whose members live at `now`, with their cosines, the greatest first."""
        similarities = cosines(query, self._vectors[rows])
        similarities[self._expires[rows] <= now] = -np.inf
        places = greatest(similarities, count)
        numbers = [rows.start + place for place in places] if isinstance(rows, slice) else rows[places].tolist()
        return list(zip(numbers, similarities[places].tolist(), strict=True))

    def neighbour(self, row: int, similarity: float) -> Neighbour:
        """The member in `row`, as a search tells of it."""
        # Rounding may exceed 1.
        return Neighbour(self._entries[row], int(self._groups[row]).to_bytes(8, "big"), min(1.0, similarity))

    def contents(self) -> Contents:
        """A copy of everything. 0.6 ms for 1,000 members."""
        rows = self._numbers()
        return self._described(rows, self._vectors[rows])

    def copying(self, members: int) -> Generator[None, None, Copied | None]:
        """Copy everything, so many members' vectors at a time; between them the rows may change.

        Returns:
            All members as they were at the beginning, with which of the vectors are still the same as then; None if
            meanwhile all members were seated anew.
        """
        numbers, begun, seatings = self._numbers(), self._writes, self._seatings
        copied = self._described(numbers, np.empty((len(numbers), self._dimension), np.float16))
        for first in range(0, len(numbers), members):
            stretch = slice(first, first + members)
            copied.vectors[stretch] = self._vectors[numbers[stretch]]
            yield
            if self._seatings != seatings:
                return None
        return copied, self._written[numbers] <= begun

    def compact(self) -> None:
        """Seat all members anew without a gap between them; nobody may go by their former rows."""
        self.fill(self.contents(), compact=True)

    def fill(self, contents: Contents, compact: bool = False) -> None:
        """Hold just `contents`: in their rows or, if `compact`, without a gap between them."""
        rows = np.arange(len(contents), dtype=np.int32) if compact else contents.rows
        used = int(rows.max()) + 1 if len(rows) else 0
        self._seatings += 1
        self._allot(max(_FIRST_ROWS, used))
        self._row_of = OrderedDict(zip(contents.entries, rows.tolist(), strict=True))
        self._entries = [b""] * used
        for entry, row in self._row_of.items():
            self._entries[row] = entry
        self._free = [row for row, entry in enumerate(self._entries) if not entry]
        self._groups[rows] = contents.groups
        self._created[rows] = contents.created_at
        self._expires[rows] = contents.expires_at
        self._vectors[rows] = contents.vectors

    def _numbers(self) -> NDArray[np.int32]:
        return np.fromiter(self._row_of.values(), np.int32, len(self._row_of))

    def _described(self, rows: NDArray[np.int32], vectors: Half) -> Contents:
        return Contents(
            tuple(self._row_of), rows, self._groups[rows], self._created[rows], self._expires[rows], vectors
        )

    def _allot(self, size: int) -> None:
        self._vectors: Half = np.zeros((size, self._dimension), np.float16)
        self._groups: NDArray[np.uint64] = np.zeros(size, np.uint64)
        self._created: NDArray[np.float64] = np.zeros(size, np.float64)
        self._expires: NDArray[np.float64] = np.full(size, -np.inf)
        self._written: NDArray[np.int64] = np.zeros(size, np.int64)

    def _reserve(self, rows: int) -> None:
        held = len(self._vectors)
        if rows <= held:
            return
        size = held + min(held, _LARGEST_STEP)
        # In place: large arrays grow by moving pages, not bytes. Nobody else ever holds a view of them.
        self._vectors.resize((size, self._dimension), refcheck=False)
        for array in (self._groups, self._created, self._expires, self._written):
            array.resize(size, refcheck=False)
