"""How fast the nearest vector is found, how often it is the nearest, and what a vector costs.

    python -m tests.benchmarks.cache_speed_search [--sizes 1000 10000 100000] [--largest]

One scope, one thread, no embedding; as many neighbours are asked for as a lookup asks for. The vectors stand in
clusters, as questions do that ask the same in other words: each lies around one of a tenth as many random directions,
at a cosine of about 0.91 to it, so that two of a cluster have a cosine of about 0.83. What is asked for was drawn like
the members, but is none of them. The truth is found in float32.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.index.member import Member, Vector
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.index.vector_index import VectorIndex
from services.semantic_cache.semantic import SemanticOptions

_DIMENSION: Final = 384
_SIZES: Final = (1_000, 10_000, 100_000)
_LARGEST: Final = 1_000_000
_PER_CLUSTER: Final = 10
_NOISE: Final = 0.45
_QUESTIONS: Final = 1_000
_BLOCK: Final = 10_000
_NEVER: Final = 1e12
_TELL_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Search:
    """Figures of one size."""

    size: int
    p50_ms: float
    p99_ms: float
    recall: float
    """How often the first found was the nearest, by float32."""
    bytes_per_entry: float
    add_s: float
    """Seconds until all were added, and found by looking at them one by one."""
    build_s: float
    """Seconds of processor time until the graph had them too."""
    longest_step_ms: float
    """Processor time of a step; a search may have to wait for one."""


class Clusters:
    """Unit vectors that stand in clusters.

    Args:
        size: how many members will be drawn.
        seed: of everything random.
    """

    def __init__(self, size: int, seed: int = 1) -> None:
        self._generator: Final = np.random.default_rng(seed)
        self._centres: Final = _unit(self._normal(max(1, size // _PER_CLUSTER)))

    def draw(self, count: int) -> NDArray[np.float32]:
        """Another `count` of them, (count, 384)."""
        centres = self._centres[self._generator.integers(0, len(self._centres), count)]
        return _unit(centres + np.float32(_NOISE) * _unit(self._normal(count)))

    def _normal(self, count: int) -> NDArray[np.float32]:
        return self._generator.standard_normal((count, _DIMENSION), dtype=np.float32)


def search(size: int, questions: int = _QUESTIONS, progress: bool = False) -> Search:
    """Fill an index with `size` vectors, have its graph made, and ask it.

    Args:
        size: members.
        questions: how many are asked, one after the other.
        progress: print how far the graph is.
    """
    clusters = Clusters(size)
    asked = clusters.draw(questions)
    best = np.full(questions, -np.inf, np.float32)
    truth = np.zeros(questions, np.int64)
    index = VectorIndex(Shape(_DIMENSION, capacity=size))
    add_s = 0.0
    for first in range(0, size, _BLOCK):
        block = clusters.draw(min(_BLOCK, size - first))
        add_s += _add(index, block, first)
        similarities = asked @ block.T
        nearest = similarities.argmax(axis=1)
        values = similarities[np.arange(questions), nearest]
        truth = np.where(values > best, nearest + first, truth)
        best = np.maximum(values, best)
    steps = sorted(_build(index, size, progress))
    taken, right = _ask(index, asked, truth)
    return Search(
        size,
        float(np.percentile(taken, 50)),
        float(np.percentile(taken, 99)),
        right / questions,
        index.nbytes / size,
        add_s,
        sum(steps),
        1_000 * steps[-1] if steps else 0.0,
    )


def _add(index: VectorIndex, block: NDArray[np.float32], first: int) -> float:
    members = [Member(_entry(first + at), b"8 bytes.", vector, 0.0, _NEVER) for at, vector in enumerate(block)]
    begun = time.perf_counter()
    for member in members:
        index.add(member, 1.0)
    return time.perf_counter() - begun


def _build(index: VectorIndex, size: int, progress: bool) -> Iterator[float]:
    told = time.perf_counter()
    while (step := index.next_step()) is not None:
        begun = time.thread_time()
        step.run()
        yield time.thread_time() - begun
        index.finish(step)
        if progress and time.perf_counter() - told > _TELL_SECONDS:
            told = time.perf_counter()
            print(f"  {index.statistics().nodes} of {size} in the graph", flush=True)


def _ask(index: VectorIndex, asked: NDArray[np.float32], truth: NDArray[np.int64]) -> tuple[list[float], int]:
    vectors: list[Vector] = list(asked)
    count = SemanticOptions().neighbours
    for vector in vectors[:50]:
        index.nearest(vector, count, 1.0)
    taken, right = [], 0
    for vector, nearest in zip(vectors, truth.tolist(), strict=True):
        begun = time.perf_counter()
        found = index.nearest(vector, count, 1.0)
        taken.append(1_000 * (time.perf_counter() - begun))
        right += found[0].entry == _entry(nearest)
    return taken, right


def _entry(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "big"), digest_size=20).digest()


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--largest", action="store_true", help="1,000,000 as well: many minutes, 5 GB")
    arguments = parser.parse_args()
    sizes = [*arguments.sizes, *([_LARGEST] if arguments.largest else [])]
    names = ("size", "p50 ms", "p99 ms", "recall@1", "B/entry", "add s", "build s", "step ms")
    print("".join(f"{name:>10}" for name in names))
    for size in sizes:
        figures = search(size, progress=size > _SIZES[-1])
        print(
            f"{figures.size:>10}{figures.p50_ms:>10.3f}{figures.p99_ms:>10.3f}{figures.recall:>10.3f}"
            f"{figures.bytes_per_entry:>10.0f}{figures.add_s:>10.1f}{figures.build_s:>10.1f}"
            f"{figures.longest_step_ms:>10.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
