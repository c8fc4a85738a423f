"""Ways in which a world changes in the middle of a stream, so that what used to be an answer is none."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

_ROUNDS: Final = 20
Vectors: TypeAlias = NDArray[np.float32]


class Drift(StrEnum):
    """What changes in the middle, at once and without notice. Half of the answers are concerned, drawn by the seed."""

    NONE = "none"
    RENAMED = "renamed"
    """They are other answers from now on: all that was kept of them is wrong."""
    SPLIT = "split"
    """Each was one answer and is two, by what is asked; one of the two is new: half of what was kept is wrong."""
    MERGED = "merged"
    """They give way to others: questions of theirs get another answer's answer from now on."""
    NEW = "new"
    """Nobody asks for them any more; until then they alone were asked for."""


def stream_of(answers: Sequence[str], vectors: Vectors, drift: Drift, seed: int) -> tuple[list[int], list[str]]:
    """The order in which questions come, and the right answer of each in that order.

    Args:
        answers: of the questions, in the order in which they come without a drift.
        vectors: of the questions, one a line.
        drift: what changes.
        seed: of what is drawn.
    """
    rng = np.random.default_rng(seed)
    names = sorted(set(answers))
    drawn = [names[place] for place in rng.permutation(len(names))]
    concerned = set(drawn[: len(drawn) // 2])
    if drift is Drift.NEW:
        return _replaced(answers, concerned)
    middle = len(answers) // 2
    new = _successors(answers, vectors, drift, drawn)
    return list(range(len(answers))), [*answers[:middle], *new[middle:]]


def _replaced(answers: Sequence[str], concerned: set[str]) -> tuple[list[int], list[str]]:
    before = [number for number, answer in enumerate(answers) if answer in concerned]
    after = [number for number, answer in enumerate(answers) if answer not in concerned]
    half = min(len(before), len(after))
    order = [*before[:half], *after[:half]]
    return order, [answers[number] for number in order]


def _successors(answers: Sequence[str], vectors: Vectors, drift: Drift, drawn: Sequence[str]) -> list[str]:
    """Every question's answer after the middle."""
    half = len(drawn) // 2
    concerned = drawn[:half]
    match drift:
        case Drift.RENAMED:
            names = {answer: f"{answer}, renewed" for answer in concerned}
        case Drift.MERGED:
            names = dict(zip(concerned, drawn[half:], strict=False))
        case _:
            names = {}
    new = [names.get(answer, answer) for answer in answers]
    if drift is Drift.SPLIT:
        for answer in concerned:
            numbers = [number for number, each in enumerate(answers) if each == answer]
            for number, other in zip(numbers, _second_half(vectors[numbers]), strict=True):
                new[number] = f"{answer}, the other" if other else answer
    return new


def _second_half(vectors: Vectors) -> list[bool]:
    """Which lines belong to the second of two clusters (2-means from the two that are farthest apart)."""
    first = int(np.argmin(vectors @ vectors.mean(axis=0)))
    centres = vectors[[first, int(np.argmin(vectors @ vectors[first]))]]
    nearer: NDArray[np.bool_] = np.zeros(len(vectors), bool)
    for _ in range(_ROUNDS):
        similarities = vectors @ centres.T
        nearer = similarities[:, 1] > similarities[:, 0]
        if nearer.all() or not nearer.any():
            break
        centres = np.stack([vectors[~nearer].mean(axis=0), vectors[nearer].mean(axis=0)])
    return [bool(each) for each in nearer]
