"""The semantic cache's own decisions: its index, guards, features, learner."""

from typing import Final

from libs.core.rng import new_rng
from services.semantic_cache.decision import Candidate, decide
from services.semantic_cache.learning.calibration import calibrated
from services.semantic_cache.learning.choice import Kind, LearnerOptions
from services.semantic_cache.learning.features import NEIGHBOURS
from services.semantic_cache.learning.learner import Learner
from services.semantic_cache.learning.outcome import Outcome, Source
from tests.benchmarks.cache_learning.stream import Fate, Kept, Question, group_of


class CalibratedCache:
    """Serves what is within `alpha`, audits, and learns.

    Args:
        dimension: of the vectors.
        alpha: the greatest share of wrong answers among served ones.
        seed: of the draws of audits.
    """

    def __init__(self, dimension: int, alpha: float, seed: int) -> None:
        self._kept: Final = Kept(dimension)
        self._alpha: Final = alpha
        self.learner: Final = Learner(new_rng(seed), LearnerOptions())

    def ask(self, question: Question) -> Fate:
        """Serve the question or keep its fresh answer."""
        candidates = [
            Candidate(found.entry, found.group, found.similarity, self._kept.behind(found.entry).text)
            for found in self._kept.nearest(question, NEIGHBOURS)
        ]
        weighed = decide(question.text, candidates, self.learner, self._alpha).weighed
        fate = Fate.MISSED
        if weighed is not None:
            kind = weighed.choice.kind
            fresh = group_of(question.answer)
            if kind is Kind.SERVE:
                return Fate.RIGHT if weighed.candidate.group == fresh else Fate.WRONG
            fate = Fate.AUDITED if kind is Kind.AUDIT else Fate.MISSED
            learn(
                self.learner,
                Outcome(
                    source=Source.AUDIT if kind is Kind.AUDIT else Source.MISS,
                    at=float(question.number),
                    entry=weighed.candidate.entry,
                    group=weighed.candidate.group,
                    fresh=fresh,
                    features=weighed.features,
                    p_model=weighed.choice.p_model,
                    p_wrong=weighed.choice.p_wrong,
                    propensity=weighed.choice.propensity,
                ),
            )
        self._kept.keep(question)
        return fate


def learn(learner: Learner, outcome: Outcome) -> None:
    """Take an outcome in, and calibrate again when that is due."""
    learner.observe(outcome)
    if learner.due():
        learner.install(calibrated(learner.experience(), learner.calibration.model))
