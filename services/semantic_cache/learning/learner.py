"""One tenant's learning: decides what is served, takes outcomes in, and is calibrated again from time to time."""

from typing import Final

import numpy as np

from libs.core.rng import Rng
from services.semantic_cache.learning.calibration import Calibration, Experience, uncalibrated
from services.semantic_cache.learning.change import ChangeDetector
from services.semantic_cache.learning.choice import Choice, Kind, LearnerOptions, LearnerStatistics
from services.semantic_cache.learning.estimate import WrongShare, wrong_share
from services.semantic_cache.learning.features import Row
from services.semantic_cache.learning.model import Floats
from services.semantic_cache.learning.outcome import Outcome, Source
from services.semantic_cache.learning.staleness import Staleness
from services.semantic_cache.learning.window import Lines, Window

LARGEST_ALPHA: Final = 0.5
"""Above it a bound on wrong answers promises nothing."""


_FIRST_REFIT: Final = 20
# A tenant has one; requests may ask for stricter ones.
_MOST_ALPHAS: Final = 32
_REFIT_SHARE: Final = 0.08
# An audit at a share of 1 in 40 stands for 40 answers. Where it is set lower, a single one must not decide too much.
_LARGEST_COUNT: Final = 40.0
# What was known before a change still tells how features relate to errors, but less.
_BEFORE_CHANGE: Final = 0.5
# Alarms need a model that has seen something: before that everything is a surprise.
_SETTLED: Final = 200


class Learner:
    """Learns one tenant's outcomes. Synchronous; only `calibrated(experience(), ...)` takes long, and is pure.

    Args:
        rng: draws which would-be hits are audited.
        options: memory and audits.
    """

    def __init__(self, rng: Rng, options: LearnerOptions) -> None:
        self._rng: Final = rng
        self._options: Final = options
        self._outcomes: Final = Window(options.window)
        self._seen = 0
        self._changed_at = 0
        self._changes = 0
        self._due_at = _FIRST_REFIT
        self._read_at = 0
        self._staleness = Staleness()
        self._detector = ChangeDetector()
        self._calibration = uncalibrated()
        self._thresholds: dict[float, float] = {}

    def trust(self, group: bytes) -> float:
        """How likely a group's answer still is one, 0 to 1."""
        return 1 - self._staleness.of_group(group)

    def decide(self, entry: bytes, group: bytes, features: Row, alpha: float) -> Choice:
        """What to do with a candidate.

        Args:
            entry: the candidate, 20 bytes.
            group: its group, 8 bytes.
            features: from `features.row`.
            alpha: the greatest share of wrong answers among served ones, in (0, 0.5].

        Raises:
            ValueError: alpha is not in its range.
        """
        threshold = self.threshold(alpha)
        p_model = self._calibration.model.probability(features)
        p_wrong = 1 - (1 - self._stale(entry, group)) * (1 - p_model)
        if p_wrong > threshold:
            return Choice(Kind.MISS, p_model, p_wrong, threshold, 1.0)
        share = self.audit_share(alpha)
        if self._rng.random() < share:
            return Choice(Kind.AUDIT, p_model, p_wrong, threshold, share)
        return Choice(Kind.SERVE, p_model, p_wrong, threshold, 0.0)

    def threshold(self, alpha: float) -> float:
        """The highest P(wrong) that is served now, 0 to 1.

        Raises:
            ValueError: alpha is not in (0, 0.5].
        """
        if not 0 < alpha <= LARGEST_ALPHA:
            raise ValueError(f"alpha must be above 0 and at most {LARGEST_ALPHA}, got {alpha}")
        known = self._thresholds.get(alpha)
        if known is None:
            if len(self._thresholds) >= _MOST_ALPHAS:
                self._thresholds.clear()
            known = self._thresholds[alpha] = self._calibration.threshold(alpha)
        return known

    def audit_share(self, alpha: float) -> float:
        """The share of would-be hits that is audited now, 0 to 1."""
        options = self._options
        ignorance = options.wanted / (1 + self._calibration.known_below(self.threshold(alpha)))
        doubt = max(0.0, 1.5 * self._detector.suspicion - 0.5) * options.most_audits
        return min(options.most_audits, max(options.least_audits, ignorance, doubt))

    def observe(self, outcome: Outcome) -> None:
        """Take in what turned out, here or at another replica. In the log's order."""
        stale = self._stale(outcome.entry, outcome.group)
        self._staleness.observe(outcome.entry, outcome.group, outcome.fresh, outcome.p_model)
        if outcome.source is Source.FEEDBACK:
            # Complaints are no sample of what was served, so they teach which answer is bad and not how many are.
            return
        self._seen += 1
        self._outcomes.append(outcome, _blame(outcome, stale), self._seen)
        # What has come to light since the decision is no surprise: one bad answer is not a changed world.
        expected = max(outcome.p_wrong, 1 - (1 - stale) * (1 - outcome.p_model))
        if self._detector.observe(outcome.wrong, expected) and self._seen > _SETTLED:
            self._change()

    def due(self) -> bool:
        """Whether enough became known since the last calibration for another one."""
        return self._seen >= self._due_at

    @property
    def calibration(self) -> Calibration:
        """What was learned last; its model is where the next calibration starts."""
        return self._calibration

    def experience(self) -> Experience:
        """What the next calibration learns from, as it is now."""
        self._read_at = self._seen
        lines = self._outcomes.lines()
        return Experience(
            rows=lines["features"].astype(np.float32),
            wrong=lines["wrong"].astype(np.float64),
            counts=self._counts(lines),
            blame=lines["blame"].astype(np.float64),
            p_wrong=lines["p_wrong"].astype(np.float64),
            stale=self._stale_of(lines),
        )

    def install(self, calibration: Calibration) -> None:
        """Decide by `calibration` from now on; if something changed meanwhile, another one is due at once."""
        self._calibration = calibration
        self._thresholds.clear()
        if self._changed_at <= self._read_at:
            self._due_at = self._read_at + max(_FIRST_REFIT, int(_REFIT_SHARE * len(self._outcomes)))

    def wrong_share(self) -> WrongShare:
        """How often what it served was wrong, as far as the audits that it remembers tell."""
        lines = self._outcomes.lines()
        audits = lines[lines["audit"]]
        return wrong_share(audits["propensity"].astype(np.float64), audits["wrong"])

    def statistics(self) -> LearnerStatistics:
        """How much it knows."""
        return LearnerStatistics(self._seen, len(self._outcomes), self._changes, self._detector.suspicion)

    def _change(self) -> None:
        self._staleness.change()
        self._changes += 1
        self._changed_at = self._due_at = self._seen
        self._outcomes.silence(self._seen - self._detector.run)

    def _stale(self, entry: bytes, group: bytes) -> float:
        return 1 - (1 - self._staleness.of_entry(entry)) * (1 - self._staleness.of_group(group))

    def _stale_of(self, lines: Lines) -> Floats:
        groups, entries = lines["group"].tolist(), lines["entry"].tolist()
        of_group = {group: self._staleness.of_group(group) for group in set(groups)}
        of_entry = {entry: self._staleness.of_entry(entry) for entry in set(entries)}
        fresh = [(1 - of_entry[entry]) * (1 - of_group[group]) for entry, group in zip(entries, groups, strict=True)]
        return 1 - np.array(fresh, np.float64)

    def _counts(self, lines: Lines) -> Floats:
        number = lines["number"]
        faded = 0.5 ** ((self._seen - number) / self._options.half_life)
        faded = np.where(number <= self._changed_at, _BEFORE_CHANGE * faded, faded)
        counts: Floats = np.minimum(1 / lines["propensity"].astype(np.float64), _LARGEST_COUNT) * faded
        return np.where(lines["telling"], counts, 0.0)

    def __repr__(self) -> str:
        return f"Learner({len(self._outcomes)} of {self._seen} outcomes, {self._changes} changes)"


def _blame(outcome: Outcome, stale: float) -> float:
    """The probability that an outcome is the model's doing: a right one is, a wrong one may come from staleness."""
    if not outcome.wrong:
        return 1.0
    model = (1 - stale) * outcome.p_model
    return model / (model + stale) if model + stale else 1.0
