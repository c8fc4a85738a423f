"""An entry as an index knows it, and as a search finds it."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
"""One dimension; components of a unit vector."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry as an index knows it."""

    entry: bytes
    """Digest of scope and text, 20 bytes."""
    group: bytes
    """Digest of 8 bytes that entries with an equal answer share."""
    vector: Vector
    created_at: float
    """Unix seconds, by the store's clock."""
    expires_at: float
    """Unix seconds."""


class Neighbour(NamedTuple):
    """An entry near to a question."""

    entry: bytes
    group: bytes
    similarity: float
    """Cosine, -1 to 1."""
