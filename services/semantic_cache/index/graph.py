"""A graph that proposes which rows may be near to a question (HNSW, by usearch)."""

from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray
from usearch.compiled import MetricKind, ScalarKind
from usearch.index import Index

from services.semantic_cache.index.member import Vector
from services.semantic_cache.index.similarity import Half

# At 100,000 members in clusters these find the nearest 99 times of 100 in 0.4 ms.
_CONNECTIVITY: Final = 16
_EXPANSION_ADD: Final = 128
_PROPOSED: Final = 48
_PROPOSED_OF_MANY: Final = 96
_MANY: Final = 300_000
_LARGEST: Final = 127.0
"""Of an int8."""


class BrokenGraphError(ValueError):
    """Bytes that are no graph of the kind that is needed."""


class Graph:
    """Row numbers by the vectors that the rows had when they were added.

    Nothing is ever taken out: a row may be proposed for a vector that it no longer has, and a row that was added twice
    is there twice. That is why proposals are measured again, by the vectors that the rows have now, before they count
    (usearch itself unlinks no removed node either: it marks the key). Vectors are kept as int8, each scaled so that
    its greatest component fills the range; a cosine does not mind the scale.

    One thread at a time: usearch lets adding and searching exclude each other inside, but not saving, so that a lock
    here does it for all three. A search waits for a batch that is being added: whoever adds while others search adds
    few at a time.

    Source: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
    Small World graphs", 2016 (arXiv:1603.09320).

    Args:
        dimension: components of the vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension: Final = dimension
        self._lock: Final = Lock()
        self._index: Final = Index(
            ndim=dimension,
            metric=MetricKind.Cos,
            dtype=ScalarKind.I8,
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION_ADD,
            expansion_search=_PROPOSED,
            multi=True,
            enable_key_lookups=False,
        )
        self._nodes = self._nbytes = 0

    @classmethod
    def load(cls, dimension: int, dumped: bytes) -> "Graph":
        """The graph that `dump` wrote.

        Raises:
            BrokenGraphError: the bytes are something else. Only bytes that are known to be whole may be given: what
                was changed on the way may still look like a graph.
        """
        graph = cls(dimension)
        index = graph._index
        try:
            index.load(dumped)
        except (RuntimeError, ValueError) as error:
            raise BrokenGraphError(f"no graph: {error}") from error
        if (index.ndim, index.dtype, index.multi) != (dimension, ScalarKind.I8, True):
            raise BrokenGraphError(f"a graph of another kind: {index.ndim} x {index.dtype}")
        graph._measure()
        return graph

    @property
    def nodes(self) -> int:
        """How many rows were added, those added twice counting twice."""
        return self._nodes

    @property
    def nbytes(self) -> int:
        """Bytes that the graph takes, 16 MiB at least."""
        return self._nbytes

    def add(self, rows: list[int], vectors: Half) -> None:
        """Add rows with their vectors, (count, dimension). Some 0.5 ms for each; the interpreter is free meanwhile."""
        keys = np.asarray(rows, np.uint64)
        small = _small(vectors.astype(np.float32))
        with self._lock:
            self._index.add(keys, small, threads=1)
            self._measure()

    def propose(self, query: Vector, count: int) -> NDArray[np.intp]:
        """Rows that may be the `count` nearest to `query`, and some dozens more; in no order and none twice."""
        small = _small(query[None])
        # usearch keeps as many candidates in view as it is to return: this is the width of the search as well.
        width = count + (_PROPOSED if self._nodes < _MANY else _PROPOSED_OF_MANY)
        with self._lock:
            keys = self._index.search(small, width, threads=1).keys
        return np.unique(keys).astype(np.intp)

    def dump(self) -> bytes:
        """The graph as bytes. The interpreter stands still meanwhile, some 0.4 ms for 1,000 nodes."""
        with self._lock:
            dumped = self._index.save()
        return bytes(dumped or b"")

    def _measure(self) -> None:
        # Here, where the lock is held: not while another thread adds.
        self._nodes, self._nbytes = len(self._index), int(self._index.memory_usage)

    def __repr__(self) -> str:
        return f"Graph({self.nodes} nodes)"


def _small(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    scale = _LARGEST / np.abs(vectors).max(axis=1, keepdims=True)
    result: NDArray[np.int8] = np.rint(vectors * scale).astype(np.int8)
    return result
