"""The graph in use and the one that will take its place: when to make them, and what to do next for them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from services.semantic_cache.index.contents import Contents
from services.semantic_cache.index.cover import Cover
from services.semantic_cache.index.graph import BrokenGraphError, Graph
from services.semantic_cache.index.member import Vector
from services.semantic_cache.index.rows import Rows, Selection
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.index.similarity import Half

_STALE_SHARE: Final = 0.2
"""Of the nodes of the graph in use; beyond it another one is made."""
_WHILE_IN_USE: Final = 4
"""Rows added at once to the graph in use: a search may have to wait for them, some 2 ms."""
_NOT_IN_USE: Final = 64


@dataclass(frozen=True, slots=True)
class Step:
    """A little work on a graph."""

    cover: Cover
    rows: list[int]
    vectors: Half
    """Those of the rows, copied."""

    def run(self) -> None:
        """Add the rows to the graph, in any thread; some 0.5 ms for each."""
        self.cover.graph.add(self.rows, self.vectors)


class Graphs:
    """Keeps the graph over some rows fit, one step at a time; decides only, and never waits.

    Args:
        shape: from how many members on there is to be a graph.
        rows: what it is a graph of.
    """

    def __init__(self, shape: Shape, rows: Rows) -> None:
        self._shape: Final = shape
        self._rows: Final = rows
        self._in_use: Cover | None = None
        self._next: Cover | None = None
        self._step: Step | None = None
        self.rebuilds = 0

    @property
    def in_use(self) -> Cover | None:
        """What is searched, if there is a graph."""
        return self._in_use

    @property
    def building(self) -> bool:
        """Whether another graph is being made."""
        return self._next is not None

    @property
    def nbytes(self) -> int:
        """Bytes that graphs take."""
        return sum(cover.graph.nbytes for cover in self._covers())

    def enter(self, row: int) -> None:
        """A member came to `row`."""
        for cover in self._covers():
            cover.enter(row)

    def leave(self, row: int) -> None:
        """The member in `row` left."""
        for cover in self._covers():
            cover.leave(row)

    def where(self, query: Vector, count: int) -> Iterator[Selection]:
        """The rows among which the `count` nearest to `query` are."""
        most = 2 * self._shape.graph_from
        if self._in_use is None:
            yield slice(max(0, self._rows.used - most), self._rows.used)
            return
        proposed = self._in_use.graph.propose(query, count)
        # Behind the rows that are used, members have left that a kept graph still knows.
        yield proposed[proposed < self._rows.used]
        yield self._in_use.uncovered(self._rows, most)

    def choose(self) -> None:
        """Begin a graph, or give one up, if the number of members or of stale nodes asks for it."""
        members, used = len(self._rows), self._in_use
        if used is None:
            if self._rows.sparse:
                self._rows.compact()
            if members >= self._shape.graph_from:
                self._in_use = self._begin()
        elif 2 * members < self._shape.graph_from:
            self._in_use = self._next = None
        elif self._next is None and used.stale > _STALE_SHARE * used.graph.nodes:
            self._next = self._begin()
            self._exchange()

    @property
    def due(self) -> bool:
        """Whether there is something to do."""
        used = self._in_use
        return used is not None and (self._next is not None or len(used.missing) > self._shape.uncovered)

    def next_step(self) -> Step | None:
        """What should be done now; None if nothing should, or if the last step is not finished."""
        used, coming = self._in_use, self._next
        if self._step is not None or used is None:
            return None
        if len(used.missing) > self._shape.uncovered:
            step = self._take(used, _WHILE_IN_USE)
        elif coming is not None:
            step = self._take(coming, _NOT_IN_USE)
        else:
            return None
        self._step = step
        return step

    def finish(self, step: Step) -> None:
        """`step` was done."""
        self._step = None
        # A graph that was given up meanwhile is nobody's concern, even so.
        step.cover.settle()
        self._exchange()

    def abandon(self, step: Step) -> None:
        """`step` failed: its graph is given up, and begun anew when the next member comes."""
        self._step = None
        if step.cover is self._next:
            self._next = None
        elif step.cover is self._in_use:
            self._in_use = self._next = None

    def write_to(self, contents: Contents) -> Contents:
        """`contents` of the rows, with the graph in use; see `Graph.dump`."""
        used = self._in_use
        if used is None:
            return contents
        return replace(contents, graph=used.graph.dump(), missing=(*used.missing, *used.under_way), stale=used.stale)

    def take_from(self, contents: Contents) -> bool:
        """Use the graph in `contents`; False if there is none, or none that is whole."""
        if not contents.graph or len(contents) < self._shape.graph_from:
            return False
        try:
            graph = Graph.load(self._shape.dimension, contents.graph)
        except BrokenGraphError:
            return False
        self._in_use = Cover(graph, dict.fromkeys(contents.missing), stale=contents.stale)
        return True

    def _covers(self) -> Iterator[Cover]:
        return (cover for cover in (self._in_use, self._next) if cover is not None)

    def _begin(self) -> Cover:
        return Cover(Graph(self._shape.dimension), dict.fromkeys(self._rows.occupied()))

    def _take(self, cover: Cover, count: int) -> Step:
        rows = cover.take(count)
        return Step(cover, rows, self._rows.vectors(rows))

    def _exchange(self) -> None:
        coming = self._next
        if coming is not None and len(coming.missing) <= self._shape.uncovered and not coming.under_way:
            self._in_use, self._next = coming, None
            self.rebuilds += 1

    def __repr__(self) -> str:
        return f"Graphs({self._in_use!r}, next {self._next!r})"
