"""The vectors of one scope: a matrix of all of them and, when they are many, a graph that says where to look."""

from collections.abc import Generator
from operator import itemgetter
from typing import Final

import numpy as np

from services.semantic_cache.index.contents import Contents
from services.semantic_cache.index.graphs import Graphs, Step
from services.semantic_cache.index.member import Member, Neighbour, Vector
from services.semantic_cache.index.rows import Copied, Rows
from services.semantic_cache.index.shape import Shape, VectorIndexStatistics
from services.semantic_cache.index.similarity import unit

ENTRY_BYTES: Final = 20
GROUP_BYTES: Final = 8


class VectorIndex:
    """Who is nearest to a question, of one scope.

    The matrix decides. What the graph proposes is measured by it, and what the graph does not have is looked for in it:
    a member is found as soon as it was added, and never after it was removed. From `graph_from` members on a search
    may miss the nearest now and then, as every approximate one does.

    Everything happens in the caller's thread except for what a `Step` does. While `next_step` has one, somebody should
    run it: until then searches take longer, and of more than `2 * graph_from` members that the graph does not have,
    some are not found.

    Args:
        shape: sizes.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape: Final = shape
        self._rows: Final = Rows(shape.dimension)
        self._graphs: Final = Graphs(shape, self._rows)
        self._version = 0

    @classmethod
    def holding(cls, shape: Shape, contents: Contents) -> "VectorIndex":
        """An index of the `contents` of another; a graph that is missing from them is made anew.

        Raises:
            ValueError: they are not an index's, of another dimension, or too many.
        """
        contents.check(shape.dimension)
        if len(contents) > shape.capacity:
            raise ValueError(f"{len(contents)} members do not fit into {shape}")
        index = cls(shape)
        index._rows.fill(contents, compact=not index._graphs.take_from(contents))
        index._graphs.choose()
        return index

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def version(self) -> int:
        """Another number whenever a member came, changed or left."""
        return self._version

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._rows.nbytes + self._graphs.nbytes

    def add(self, member: Member, now: float) -> None:
        """Put `member` in, in place of an older one of the same entry; some that expired by `now` leave.

        Raises:
            ValueError: the vector has another dimension, no length or not only finite numbers; a digest has another
                length than it should.
        """
        if len(member.entry) != ENTRY_BYTES or len(member.group) != GROUP_BYTES:
            raise ValueError(
                f"digests have {ENTRY_BYTES} and {GROUP_BYTES} bytes, got {member.entry!r}, {member.group!r}"
            )
        vector = unit(member.vector, self._shape.dimension).astype(np.float16)
        self._version += 1
        for row in self._rows.expired(now):
            self._leave(row)
        row_before = self._rows.row_of(member.entry)
        if row_before is not None and self._rows.same_vector(row_before, vector):
            self._rows.renew(row_before, member)
        else:
            self._make_room(row_before)
            self._graphs.enter(self._rows.put(member, vector))
        self._graphs.choose()

    def remove(self, entry: bytes) -> bool:
        """Take an entry out; whether it was in."""
        row = self._rows.row_of(entry)
        if row is None:
            return False
        self._version += 1
        self._leave(row)
        self._graphs.choose()
        return True

    def nearest(self, vector: Vector, count: int, now: float) -> list[Neighbour]:
        """Up to `count` entries that live at `now`, the most similar first; cosines are right to 1e-4.

        Raises:
            ValueError: the vector has another dimension, no length or not only finite numbers.
        """
        query = unit(vector, self._shape.dimension)
        half = query.astype(np.float16)
        found: dict[int, float] = {}
        for rows in self._graphs.where(query, count):
            found.update(self._rows.best(half, rows, count, now))
        best = sorted(found.items(), key=itemgetter(1), reverse=True)[:count]
        return [self._rows.neighbour(row, similarity) for row, similarity in best]

    @property
    def due(self) -> bool:
        """Whether there is a step to do."""
        return self._graphs.due

    def next_step(self) -> Step | None:
        """Work that makes searches faster; at most one is out at a time."""
        return self._graphs.next_step()

    def finish(self, step: Step) -> None:
        """Tell that `step` has run."""
        self._graphs.finish(step)

    def abandon(self, step: Step) -> None:
        """Tell that `step` failed."""
        self._graphs.abandon(step)

    def contents(self) -> Contents:
        """A copy of everything. 1.2 ms for 1,000 members: see `copying`."""
        return self._graphs.write_to(self._rows.contents())

    def copying(self, members: int) -> Generator[None, None, Copied | None]:
        """Copy all but the graph bit by bit; see `Rows.copying`."""
        return self._rows.copying(members)

    def statistics(self) -> VectorIndexStatistics:
        """What is held now."""
        cover = self._graphs.in_use
        return VectorIndexStatistics(
            members=len(self._rows),
            nodes=cover.graph.nodes if cover else 0,
            uncovered=len(cover.missing) + len(cover.under_way) if cover else len(self._rows),
            stale=cover.stale if cover else 0,
            building=self._graphs.building,
            rebuilds=self._graphs.rebuilds,
            nbytes=self.nbytes,
        )

    def _make_room(self, row: int | None) -> None:
        if row is not None:
            self._leave(row)
        elif len(self._rows) == self._shape.capacity:
            self._leave(self._rows.oldest())

    def _leave(self, row: int) -> None:
        self._rows.leave(row)
        self._graphs.leave(row)

    def __repr__(self) -> str:
        return f"VectorIndex({len(self._rows)}/{self._shape.capacity}, {self._graphs!r})"
