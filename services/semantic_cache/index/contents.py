"""All that an index holds, at rest: what a snapshot keeps of it."""

from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.index.similarity import Half


@dataclass(frozen=True, slots=True)
class Contents:
    """The members of a scope, the oldest first. All arrays are copies and of one length."""

    entries: tuple[bytes, ...]
    rows: NDArray[np.int32]
    """Where each member sits; a graph knows it by that number."""
    groups: NDArray[np.uint64]
    """Big-endian readings of the members' groups."""
    created_at: NDArray[np.float64]
    expires_at: NDArray[np.float64]
    vectors: Half
    """(members, dimension)."""
    graph: bytes = b""
    """A graph over some of the rows, as `Graph.dump` writes it; empty if there is none."""
    missing: tuple[int, ...] = ()
    """The rows which that graph does not have."""
    stale: int = 0
    """Nodes of that graph whose members are gone."""

    def check(self, dimension: int) -> None:
        """Return if this can be an index's.

        Raises:
            ValueError: lengths differ, a row or an entry is there twice, or a vector has another dimension or a
                component that is no finite number.
        """
        members = len(self.entries)
        for array in (self.rows, self.groups, self.created_at, self.expires_at, self.vectors):
            if len(array) != members:
                raise ValueError(f"{members} entries do not go with {len(array)} of something else")
        if len(set(self.entries)) != members or len(np.unique(self.rows)) != members:
            raise ValueError("an entry or a row is there twice")
        if self.vectors.shape[1:] != (dimension,):
            raise ValueError(f"vectors of the shape {self.vectors.shape} do not fit the dimension {dimension}")
        if not np.isfinite(self.vectors).all():
            raise ValueError("a vector has a component that is not a finite number")

    def only(self, wanted: NDArray[np.bool_]) -> "Contents":
        """Those members that are `wanted`, (members,), without a graph."""
        if wanted.all():
            return replace(self, graph=b"", missing=(), stale=0)
        return Contents(
            tuple(compress(self.entries, wanted.tolist())),
            self.rows[wanted],
            self.groups[wanted],
            self.created_at[wanted],
            self.expires_at[wanted],
            self.vectors[wanted],
        )

    def __len__(self) -> int:
        return len(self.entries)
