"""What is known of a candidate before its answer is served, as a short vector for the model.

The neighbours' agreement comes from k-nearest-neighbour classification: entries with an equal answer form a group, and
groups vote with weights `exp((similarity - best) / temperature)`. All features are plain functions of what a lookup has
at hand: similarities, groups and texts of the neighbours. They cannot be derived again later, since the neighbours will
be others; so a row goes into the log with its outcome, and a model that weighs rows can be learned again from the log.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.learning.wording import Wording, dice

Row: TypeAlias = NDArray[np.float32]
"""One candidate's features, in the order of `NAMES`."""

VERSION: Final = 1
"""Of the features' meaning; rows of another version are not understood."""
NAMES: Final = (
    "similarity",
    "margin",
    "vote",
    "wide_vote",
    "share",
    "farthest",
    "near_own",
    "letters",
    "words",
    "content",
    "covered",
    "contrast",
    "answers",
    "asks_otherwise",
    "ruled_out",
    "length",
    "additions",
    "excused",
)
"""What the numbers of a row are, see `row`."""
SIZE: Final = len(NAMES)
NEIGHBOURS: Final = 16
"""How many neighbours a decision looks at."""

_NARROW: Final = 0.05
_WIDE: Final = 0.12
_WIDEST_MARGIN: Final = 0.3
# Odds stay finite when nobody votes for another answer.
_LEAST_VOTE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Near:
    """A neighbour as the decision sees it."""

    entry: bytes
    """20 bytes."""
    group: bytes
    """8 bytes: entries with an equal answer."""
    similarity: float
    """Cosine, -1 to 1."""
    wording: Wording


def votes(neighbours: Sequence[Near], trust: Callable[[bytes], float]) -> dict[bytes, float]:
    """How much the neighbours speak for each group, the most first.

    Args:
        neighbours: the most similar first.
        trust: of a group, 0 to 1: how likely its answer still is one.
    """
    best = max(near.similarity for near in neighbours)
    weights: dict[bytes, float] = {}
    for near in neighbours:
        vote = math.exp((near.similarity - best) / _NARROW)
        weights[near.group] = weights.get(near.group, 0.0) + vote * trust(near.group)
    return dict(sorted(weights.items(), key=lambda item: -item[1]))


def row(question: Wording, candidate: Near, neighbours: Sequence[Near], ruled_out: float, excused: bool) -> Row:
    """The features of serving `candidate`'s answer.

    In order: the candidate's similarity; how much nearer its group is than any other (at most 0.3); log odds of its
    group in a narrow and in a wide vote; log odds of its share of the neighbours; the farthest neighbour's similarity;
    the mean similarity of its group's three nearest; shared trigrams, words and content words (Dice); how much of the
    question's content its group's questions cover; by how much more they do than other groups' questions; how many
    other answers are near; whether another question word is used; the share of votes that guards ruled out; the
    logarithm of the question's length; the share of the candidate's content words that the question lacks; whether a
    guard's objection was excused.

    Args:
        question: the text being asked.
        candidate: one of `neighbours`.
        neighbours: those still in the running, at most `NEIGHBOURS`, the most similar first.
        ruled_out: share of all votes, 0 to 1, that went to groups which guards refused.
        excused: whether a guard objected and the group's own members showed that it does not matter.
    """
    own = [near for near in neighbours if near.group == candidate.group]
    others = [near for near in neighbours if near.group != candidate.group]
    nearest = own[0].similarity
    covered, contrast = _coverage(question, own, others)
    text = candidate.wording
    return np.array(
        (
            candidate.similarity,
            min(nearest - others[0].similarity, _WIDEST_MARGIN) if others else _WIDEST_MARGIN,
            _vote(own, others, _NARROW),
            _vote(own, others, _WIDE),
            math.log((len(own) + 0.5) / (len(others) + 0.5)),
            neighbours[-1].similarity,
            sum(near.similarity for near in own[:3]) / len(own[:3]),
            dice(question.grams, text.grams),
            dice(question.words, text.words),
            dice(question.content, text.content),
            covered,
            contrast,
            len({near.group for near in others}) / NEIGHBOURS,
            float(question.asks != text.asks),
            ruled_out,
            math.log1p(question.length) / 3,
            len(text.content - question.content) / max(1, len(text.content)),
            float(excused),
        ),
        np.float32,
    )


def _vote(own: Sequence[Near], others: Sequence[Near], temperature: float) -> float:
    best = max(near.similarity for near in (*own[:1], *others[:1]))
    ours = sum(math.exp((near.similarity - best) / temperature) for near in own)
    theirs = sum(math.exp((near.similarity - best) / temperature) for near in others)
    return math.log((ours + _LEAST_VOTE) / (theirs + _LEAST_VOTE))


def _coverage(question: Wording, own: Sequence[Near], others: Sequence[Near]) -> tuple[float, float]:
    """How far the group's questions contain the question's words, and by how much more than the others' do."""
    if not question.content:
        return 0.0, 0.0
    covered = contrast = 0.0
    for word in question.content:
        ours = sum(word in near.wording.content for near in own) / len(own)
        theirs = sum(word in near.wording.content for near in others) / max(1, len(others))
        covered += min(1.0, 2 * ours)
        contrast += ours - theirs
    return covered / len(question.content), contrast / len(question.content)
