"""What a learner is asked for, and how it is set up."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What to do with a candidate."""

    SERVE = "serve"
    AUDIT = "audit"
    """It might be served, but this time a fresh answer shows whether that would have been right."""
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do with a candidate, and why."""

    kind: Kind
    p_model: float
    """P(wrong) by the model alone, 0 to 1."""
    p_wrong: float
    """P(wrong), 0 to 1; also counts that the answer may be stale."""
    threshold: float
    """The highest P(wrong) that is served now, 0 to 1."""
    propensity: float
    """How likely it was that the outcome becomes known: 1 for a miss, the audits' share for an audit, 0 if served."""


@dataclass(frozen=True, slots=True)
class LearnerOptions:
    """How fast a tenant's past fades, and how often the present is checked."""

    window: int = 4_000
    """Outcomes that are remembered."""
    half_life: float = 2_000.0
    """Outcomes after which one counts half."""
    least_audits: float = 0.045
    """The least share of would-be hits that is audited, 0 to 1."""
    most_audits: float = 0.5
    """The greatest share, while little is known or something seems to have changed."""
    wanted: int = 15
    """Audits are the more frequent the less often this number of outcomes like those served is known."""

    def __post_init__(self) -> None:
        if self.window < 1 or self.wanted < 0 or self.half_life <= 0:
            raise ValueError("window must be at least 1, wanted at least 0, half_life above 0")
        if not 0 < self.least_audits <= self.most_audits <= 1:
            raise ValueError("audits must satisfy 0 < least_audits <= most_audits <= 1")


class LearnerStatistics(NamedTuple):
    """A learner at one moment."""

    outcomes: int
    """Taken in since it began, complaints aside."""
    remembered: int
    """Of these, those that it still learns from."""
    changes: int
    """How often the world turned out to have changed."""
    suspicion: float
    """How near the next such alarm is, 0 to 1."""
