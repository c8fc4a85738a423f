"""What a vector must be before it may be compared, and comparing one with many."""

from typing import Final, TypeAlias

import numkong
import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.index.member import Vector

Half: TypeAlias = NDArray[np.float16]
"""Components of unit vectors as they are kept: half of the memory, and cosines right to 1e-4."""

_SHORTEST: Final = 1e-6
_PICKED_ONE_BY_ONE: Final = 16


def unit(vector: Vector, dimension: int) -> Vector:
    """`vector` scaled to length 1, float32.

    Raises:
        ValueError: it has another dimension, a component that is no finite number, or no length.
    """
    if vector.shape != (dimension,):
        raise ValueError(f"a vector of {dimension} components is needed, got the shape {vector.shape}")
    # In float64, where no float32 squared overflows.
    wide = vector.astype(np.float64)
    length = float(np.sqrt(wide @ wide))
    if not np.isfinite(length):
        raise ValueError("a vector has a component that is not a finite number")
    if length < _SHORTEST:
        raise ValueError("a vector has no length")
    result: Vector = (wide / length).astype(np.float32)
    return result


def cosines(query: Half, vectors: Half) -> NDArray[np.float64]:
    """The cosine of `query`, (dimension,), with each of `vectors`, (count, dimension), all of unit length.

    numkong multiplies float16 as such. From some 8,000 rows on that takes a third of what numpy needs for float32,
    for it is memory that is waited for.
    """
    # float64 is what the kernel gives: to have it written as float32 takes six times as long.
    result: NDArray[np.float64] = np.empty(len(vectors), np.float64)
    if len(vectors):
        numkong.cdist(query[None], vectors, metric="dot", out=result[None])
    return result


def greatest(values: NDArray[np.float64], count: int) -> list[int]:
    """Where the `count` greatest finite values are, the greatest first."""
    count = min(count, len(values))
    if count > _PICKED_ONE_BY_ONE:
        places = np.argpartition(values, -count)[-count:]
        ordered = places[np.argsort(-values[places], kind="stable")]
        return [int(place) for place in ordered if values[place] != -np.inf]
    # A partition of 20,000 values takes 200 us, a maximum of them 2.
    left = values.copy()
    picked: list[int] = []
    for _ in range(count):
        place = int(left.argmax())
        if left[place] == -np.inf:
            break
        picked.append(place)
        left[place] = -np.inf
    return picked
