"""Whether two answers say the same: what tells right from wrong without asking anybody.

A fresh answer to the question and the kept answer that was not served stand side by side. Errs towards "no": then the
candidate counts as wrong, which makes the cache more careful than it need be, never less.
"""

import re
from typing import Final

import numpy as np

from services.semantic_cache.entry import answer_group
from services.semantic_cache.guards import antonyms, negation
from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.reading import read
from services.semantic_cache.index.member import Vector

_NUMBER: Final = re.compile(r"\d+(?:[.,:/]\d+)*")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\n")
_LONGEST_OPENING: Final = 300
_CHUNK: Final = 800
"""Characters that every model reads whole."""
_MOST_CHUNKS: Final = 6


def read_alike(one: str, other: str) -> bool:
    """Whether they are equal but for case and space."""
    return answer_group(one) == answer_group(other)


def chunks(answer: str) -> list[str]:
    """The parts of an answer to embed, at least one: its beginning, in pieces that a model reads whole."""
    pieces = [answer[start : start + _CHUNK] for start in range(0, min(len(answer), _CHUNK * _MOST_CHUNKS), _CHUNK)]
    return [piece for piece in pieces if piece.strip()] or [answer]


def centre(vectors: list[Vector]) -> Vector:
    """The direction of an answer: the mean of its parts', of length 1."""
    mean = np.mean(vectors, axis=0)
    unit: Vector = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
    return unit


def mean_the_same(one: str, other: str, similarity: float, least: float) -> bool:
    """Whether answers of that cosine similarity say the same.

    That is: they are near enough, no number of the shorter one is missing, and they do not begin with opposites, which
    an embedding hardly tells apart ("Yes, it is safe" and "No, it is not safe": 0.98).

    Args:
        one: an answer.
        other: another.
        similarity: cosine of their `centre`s.
        least: the least similarity that counts.
    """
    if not similarity >= least:
        # Written so that NaN is no likeness.
        return False
    shorter, longer = sorted((one, other), key=len)
    if not set(_NUMBER.findall(shorter)) <= set(_NUMBER.findall(longer)):
        return False
    # What is said first decides; further down a negation may only be another way of putting it.
    pair = Contrast.of(read(_opening(one)), read(_opening(other)))
    return not (negation.differ(pair) or antonyms.differ(pair))


def _opening(answer: str) -> str:
    return _SENTENCE_END.split(answer.strip(), maxsplit=1)[0][:_LONGEST_OPENING]
