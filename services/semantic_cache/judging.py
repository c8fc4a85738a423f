"""What the lookup asks of whoever decides: may this answer stand in for another question's?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from services.semantic_cache.entry import Alias
from services.semantic_cache.index.member import Neighbour
from services.semantic_cache.receipts import Receipt


class Verdict(Enum):
    """What becomes of the best candidate."""

    SERVE = "serve"
    AUDIT = "audit"
    """It would be served, but this time a fresh answer is to show whether rightly."""
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A neighbour of the question, with its own question's text."""

    neighbour: Neighbour
    question: str


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate as it was judged, for an explanation."""

    similarity: float
    refused_by: str = ""
    """The guard that refused it; empty if none did."""
    wrong_probability: float | None = None
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision."""

    verdict: Verdict
    chosen: int | None = None
    """The position of the candidate that was judged by its score, if one got that far."""
    wrong_probability: float = 1.0
    """Of the chosen one."""
    propensity: float = 1.0
    """How likely its outcome is to become known; 1 for a miss."""
    features: bytes = b""
    """What it was judged by, packed by the judge, up to 128 bytes; empty if none was chosen."""
    threshold: float = 0.0
    """The highest probability that is served now."""
    max_wrong_rate: float = 0.0
    reason: str = ""
    """In words; set if it was asked for."""
    considered: tuple[Considered, ...] = ()
    """Set if it was asked for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How often hits by meaning are wrong, as far as audits tell; shares from 0 to 1."""

    rate: float | None = None
    """None before the first audit."""
    low: float = 0.0
    """The ends of the 90% interval."""
    high: float = 1.0


class Judge(Protocol):
    """Decides, and learns in the background; synchronous, since it is asked on the path."""

    def judge(
        self,
        tenant_id: str,
        question: str,
        sightings: Sequence[Sighting],
        max_wrong_rate: float,
        explain: bool = False,
    ) -> Judgement:
        """Judge candidates.

        Args:
            tenant_id: whose experience counts.
            question: the text being asked.
            sightings: the nearest entries, the most similar first; how they agree is part of the evidence.
            max_wrong_rate: the highest share of wrong answers among those served.
            explain: whether `reason` and `considered` are wanted.
        """
        ...

    def judge_again(self, tenant_id: str, alias: Alias, max_wrong_rate: float) -> Judgement:
        """Judge what was served before, by what has been learned since; `chosen` is 0."""
        ...

    def estimate(self, tenant_id: str) -> Estimate:
        """How often the tenant's hits by meaning are wrong."""
        ...


class Teacher(Protocol):
    """Hands on what turned out."""

    async def teach(self, tenant_id: str, request_id: str, receipt: Receipt, fresh: bytes | None) -> None:
        """The question of `receipt` had another answer than its candidate's, or the same. Repeating it is safe.

        Args:
            tenant_id: whose experience it is.
            request_id: tells a repetition.
            receipt: of the lookup that judged the candidate.
            fresh: the group of the right answer: the candidate's own if that was right; None if there is none.

        Raises:
            MeshError: STORE_UNAVAILABLE.
        """
        ...
