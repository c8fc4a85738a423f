"""A graph and the rows that it does not have yet."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.semantic_cache.index.graph import Graph
from services.semantic_cache.index.rows import Rows, Selection

_FEW: Final = 2_048
_SPARSE: Final = 4


@dataclass(slots=True)
class Cover:
    """Which rows of an index a graph covers.

    Whatever is in `missing` or `under_way` must be searched besides the graph.
    """

    graph: Graph
    missing: dict[int, None] = field(default_factory=dict)
    """Rows to be added, in the order in which they will be."""
    under_way: set[int] = field(default_factory=set)
    """Rows that a thread is adding."""
    stale: int = 0
    """Nodes of the graph whose members left."""

    def enter(self, row: int) -> None:
        """A member came to `row`."""
        self.missing[row] = None

    def leave(self, row: int) -> None:
        """The member in `row` left."""
        if row in self.missing:
            del self.missing[row]
        else:
            self.under_way.discard(row)
            self.stale += 1

    def take(self, count: int) -> list[int]:
        """Up to `count` missing rows, which are under way from now on."""
        rows = list(zip(range(count), self.missing, strict=False))
        for _, row in rows:
            del self.missing[row]
            self.under_way.add(row)
        return [row for _, row in rows]

    def settle(self) -> None:
        """What was under way has arrived."""
        self.under_way.clear()

    def uncovered(self, rows: Rows, most: int) -> Selection:
        """The rows to search besides the graph, at most `most`.

        If more are missing, those at the end, which are mostly the youngest, are chosen; the others are found when
        the graph has them. Rows next to each other are cheaper to search than rows picked one by one.
        """
        count = len(self.missing) + len(self.under_way)
        if count > _FEW:
            return slice(max(0, rows.used - most), rows.used)
        if not count:
            return slice(0, 0)
        picked = np.fromiter((*self.missing, *self.under_way), np.intp, count)
        first = int(picked.min())
        return slice(first, rows.used) if rows.used - first <= min(most, _SPARSE * count) else picked

    def __repr__(self) -> str:
        return f"Cover({self.graph!r}, {len(self.missing)} missing, {self.stale} stale)"
