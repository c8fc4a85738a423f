"""A stream of questions through a cache: what was served, what of it was wrong, and what is known of the rest.

A question that is not served gets its own answer, which is kept; comparing it with the answer of the entry that was not
served tells whether that one would have been right. Of what is served nothing becomes known.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.index.member import Member, Neighbour, Vector
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.index.vector_index import VectorIndex

_FOREVER: Final = 1e12


class Question(NamedTuple):
    """What is asked, and which answer it gets from the model."""

    number: int
    text: str
    answer: str
    vector: Vector


class Fate(Enum):
    """What became of a question."""

    RIGHT = "served, rightly"
    WRONG = "served, wrongly"
    AUDITED = "audited"
    MISSED = "missed"


class Cache(Protocol):
    """A cache, and the model behind it."""

    def ask(self, question: Question) -> Fate:
        """Serve the question or keep its fresh answer."""
        ...


class Kept:
    """Questions with their answers, found by meaning."""

    def __init__(self, dimension: int) -> None:
        self._index: Final = VectorIndex(Shape(dimension))
        self._questions: dict[bytes, Question] = {}

    def nearest(self, question: Question, count: int) -> list[Neighbour]:
        """The most similar first."""
        return self._index.nearest(question.vector, count, now=0.0)

    def behind(self, entry: bytes) -> Question:
        """The question that an entry answered."""
        return self._questions[entry]

    def keep(self, question: Question) -> None:
        """Keep a question with its fresh answer."""
        entry = blake2b(str(question.number).encode(), digest_size=20).digest()
        member = Member(entry, group_of(question.answer), question.vector, 0.0, _FOREVER)
        self._index.add(member, now=0.0)
        self._questions[entry] = question


class Figures(NamedTuple):
    """Of a part of a stream."""

    asked: int
    served: int
    wrong: int
    audited_count: int

    @property
    def hit_rate(self) -> float:
        """Served of all, 0 to 1."""
        return self.served / self.asked if self.asked else 0.0

    @property
    def wrong_among_served(self) -> float:
        """0 to 1; 0 if nothing was served."""
        return self.wrong / self.served if self.served else 0.0

    @property
    def audited(self) -> float:
        """Audited of all, 0 to 1."""
        return self.audited_count / self.asked if self.asked else 0.0


def group_of(answer: str) -> bytes:
    """What entries with this answer share, 8 bytes."""
    return blake2b(answer.encode(), digest_size=8).digest()


def ask_all(cache: Cache, questions: Iterable[Question]) -> list[Fate]:
    """What becomes of each question, in turn."""
    return [cache.ask(question) for question in questions]


def figures(fates: Sequence[Fate]) -> Figures:
    """Count them."""
    right, wrong, audited = (fates.count(fate) for fate in (Fate.RIGHT, Fate.WRONG, Fate.AUDITED))
    return Figures(len(fates), right + wrong, wrong, audited)


def questions_of(texts: Sequence[str], answers: Sequence[str], vectors: NDArray[np.float32]) -> list[Question]:
    """Number them."""
    return [
        Question(number, text, answer, vector)
        for number, (text, answer, vector) in enumerate(zip(texts, answers, vectors, strict=True))
    ]
