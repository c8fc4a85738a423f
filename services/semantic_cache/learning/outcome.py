"""What turned out about one answer that was served or could have been: a line of the tenant's outcome log."""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from services.semantic_cache.learning.features import SIZE, VERSION, Row

_HEAD: Final = struct.Struct("<Bdff8s8s20s")
_SEEN: Final = struct.Struct("<Bf")
_HALF: Final = np.dtype("<f2")
_UNKNOWN: Final = bytes(8)


class Source(IntEnum):
    """How the outcome became known."""

    MISS = 1
    """The candidate was not served for its risk; a fresh answer was compared with it. Always known."""
    AUDIT = 2
    """The candidate would have been served, was not by chance, and a fresh answer was compared with it."""
    FEEDBACK = 3
    """It was served, and whoever received it complained. Not a random sample: silence says nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a candidate's answer was wrong for a question, and what was believed before that was known."""

    source: Source
    at: float
    """Unix seconds."""
    entry: bytes
    """The candidate, 20 bytes."""
    group: bytes
    """The candidate's group, 8 bytes."""
    fresh: bytes | None
    """The fresh answer's group, 8 bytes; equal to `group` if the candidate was right; None if there is none."""
    features: Row
    p_model: float
    """What the model said, 0 to 1, before staleness of this very group came in."""
    p_wrong: float
    """What the decision was made on, 0 to 1."""
    propensity: float
    """How likely it was that this outcome becomes known, in (0, 1]: 1 for a miss, the audits' share for an audit."""

    @property
    def wrong(self) -> bool:
        """Whether the candidate's answer was not an answer."""
        return self.fresh != self.group

    def __post_init__(self) -> None:
        if not math.isfinite(self.at):
            raise ValueError(f"at must be finite, got {self.at}")
        if not 0 < self.propensity <= 1:
            raise ValueError(f"propensity must be in (0, 1], got {self.propensity}")
        if not (0 <= self.p_model <= 1 and 0 <= self.p_wrong <= 1):
            raise ValueError(f"p_model and p_wrong must be in 0 to 1, got {self.p_model} and {self.p_wrong}")
        if len(self.features) != SIZE or not np.isfinite(self.features).all():
            raise ValueError(f"features must be {SIZE} finite numbers")

    def pack(self) -> bytes:
        """As bytes (94 of them), for a log that other replicas read."""
        fresh = _UNKNOWN if self.fresh is None else self.fresh
        head = _HEAD.pack(self.source, self.at, self.p_wrong, self.propensity, self.group, fresh, self.entry)
        return head + pack_features(self.features, self.p_model)


def unpack(packed: bytes) -> Outcome | None:
    """What `Outcome.pack` made; None if another version's features are in it.

    Raises:
        ValueError: these bytes are no outcome.
    """
    if len(packed) < _HEAD.size:
        raise ValueError(f"an outcome has at least {_HEAD.size} bytes, got {len(packed)}")
    source, at, p_wrong, propensity, group, fresh, entry = _HEAD.unpack_from(packed)
    seen = unpack_features(packed[_HEAD.size :])
    if seen is None:
        return None
    known = None if fresh == _UNKNOWN else fresh
    return Outcome(Source(source), at, entry, group, known, seen[0], seen[1], p_wrong, propensity)


def pack_features(features: Row, p_model: float) -> bytes:
    """What the model saw and said, as bytes that go with a receipt."""
    return _SEEN.pack(VERSION, p_model) + features.astype(_HALF).tobytes()


def unpack_features(packed: bytes) -> tuple[Row, float] | None:
    """What `pack_features` made: features and P(wrong) by the model; None if they are another version's.

    Raises:
        ValueError: these bytes are no features.
    """
    if packed[:1] != bytes((VERSION,)):
        return None
    if len(packed) != _SEEN.size + SIZE * _HALF.itemsize:
        raise ValueError(f"no features of version {VERSION}: {len(packed)} bytes")
    _, p_model = _SEEN.unpack_from(packed)
    return np.frombuffer(packed, _HALF, SIZE, _SEEN.size).astype(np.float32), p_model
