"""Worlds in which it is known how likely a candidate is wrong."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from libs.core.rng import Rng, new_rng
from services.semantic_cache.learning.calibration import calibrated
from services.semantic_cache.learning.choice import Kind, LearnerOptions
from services.semantic_cache.learning.features import NAMES, Row
from services.semantic_cache.learning.learner import Learner
from services.semantic_cache.learning.outcome import Outcome, Source

ANSWERS = 60


def group(number: int) -> bytes:
    return number.to_bytes(8, "big")


def entry(number: int) -> bytes:
    return number.to_bytes(20, "big")


def features_of(likeness: float, rng: Rng) -> Row:
    """A candidate as alike as `likeness` (0 to 1) says, give or take, in all respects."""
    row = np.zeros(len(NAMES), np.float32)
    for name, low, high in (
        ("similarity", 0.5, 1.0),
        ("margin", 0.0, 0.3),
        ("vote", -1.0, 4.0),
        ("wide_vote", -1.0, 3.0),
        ("letters", 0.2, 1.0),
        ("words", 0.2, 1.0),
        ("content", 0.2, 1.0),
        ("contrast", 0.0, 1.0),
    ):
        row[NAMES.index(name)] = low + (high - low) * min(1.0, max(0.0, likeness + rng.uniform(-0.1, 0.1)))
    return row


@dataclass
class World:
    """Alike questions have the same answer, with a curve of its own."""

    steepness: float = 14.0
    middle: float = 0.45
    lapse: float = 0.0

    def p_wrong(self, likeness: float) -> float:
        return self.lapse + (1 - self.lapse) / (1 + math.exp(self.steepness * (likeness - self.middle)))


@dataclass
class Course:
    """What was served."""

    served: int = 0
    wrong: int = 0
    asked: int = 0

    @property
    def share(self) -> float:
        return self.wrong / self.served if self.served else 0.0


def live(
    learner: Learner,
    world: World,
    questions: int,
    alpha: float,
    rng: Rng,
    stale: Callable[[int], bool] = lambda answer: False,
    answers: int = ANSWERS,
) -> Course:
    """Ask the learner `questions` times; a stale answer is wrong for every question."""
    course = Course()
    for _ in range(questions):
        likeness, answer = rng.random(), rng.randrange(answers)
        wrong = stale(answer) or rng.random() < world.p_wrong(likeness)
        features = features_of(likeness, rng)
        choice = learner.decide(entry(answer), group(answer), features, alpha)
        course.asked += 1
        if choice.kind is Kind.SERVE:
            course.served += 1
            course.wrong += wrong
            continue
        source = Source.AUDIT if choice.kind is Kind.AUDIT else Source.MISS
        fresh = group(answers + answer) if wrong else group(answer)
        tell(learner, Outcome(source, 0.0, entry(answer), group(answer), fresh, features,
                              choice.p_model, choice.p_wrong, choice.propensity))  # fmt: skip
    return course


def tell(learner: Learner, outcome: Outcome) -> None:
    learner.observe(outcome)
    if learner.due():
        learner.install(calibrated(learner.experience(), learner.calibration.model))


def learner(seed: int) -> Learner:
    return Learner(new_rng(seed), LearnerOptions())
