"""Whether an answer may stand in for another question's: the place where a wrong hit is prevented.

Embeddings see what a text is about, not what exactly it asks, so guards come first: a candidate that differs in
numbers, negation, names or direction is out whatever its similarity. What they let pass is served if its calibrated
P(wrong) is within the threshold of the tenant (`learning.calibration`). All is pure but for the draw of an audit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from services.semantic_cache.guards.reasons import Guard
from services.semantic_cache.guards.refusal import refuse as refuse_by_guards
from services.semantic_cache.learning.choice import Choice, Kind
from services.semantic_cache.learning.features import NAMES, NEIGHBOURS, Near, Row, row, votes
from services.semantic_cache.learning.learner import Learner
from services.semantic_cache.learning.wording import wording

Refuse: TypeAlias = Callable[[str, str], Guard | None]
"""Why `candidate` must not stand in for `question`, or None: a function of the two texts."""

# A group in which hardly anybody believes any more neither answers nor speaks against others.
_LEAST_TRUST: Final = 0.5
# What a question may name without its answer depending on it, as in "a timer for 5 minutes". A negation, an opposite
# or a direction turns the meaning, and no number of examples excuses it.
_PARAMETERS: Final = frozenset({Guard.NUMBERS, Guard.NAMES, Guard.SUBJECTS, Guard.CALENDAR})
# So many questions, no two of which a guard lets stand for each other, show by their equal answers that it is so.
_EXAMPLES: Final = 3
_LOOKED_AT: Final = 6


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry near to the question, with its text."""

    entry: bytes
    """Digest, 20 bytes."""
    group: bytes
    """Digest of 8 bytes that entries with an equal answer share."""
    similarity: float
    """Cosine, -1 to 1."""
    text: str
    """The question that it answered."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """The candidate whose answer might be served."""

    candidate: Candidate
    features: Row
    """What the model saw, in the order of `features.NAMES`."""
    choice: Choice
    """What to do with it."""
    excused: Guard | None
    """A guard's objection that did not count, see `decide`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a question, and all that led to it."""

    weighed: Weighed | None
    """None if there is no candidate that guards let pass."""
    refused: tuple[tuple[Candidate, Guard], ...]
    """Candidates that a guard refused, and which guard."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision in words and numbers, for people."""

    reason: str
    candidates: int
    """Neighbours that were looked at."""
    refused: tuple[tuple[str, float], ...]
    """The guards that refused one, each with the similarity of what it refused."""
    similarity: float | None
    features: tuple[tuple[str, float], ...]
    """By name; empty without a candidate."""
    p_wrong: float | None
    threshold: float
    """The highest P(wrong) that is served."""
    alpha: float
    """What it is derived from: the greatest share of wrong answers among served ones."""


def decide(
    question: str,
    candidates: Sequence[Candidate],
    learner: Learner,
    alpha: float,
    refuse: Refuse = refuse_by_guards,
) -> Decision:
    """What to do with `question`.

    The group that the neighbours speak for most is tried first; its most similar member that no guard refuses is
    weighed. A group of which every member is refused is out, and the next one is tried on its own merit.

    One objection can be excused: if three questions of a group differ from each other in what the guard objects to
    (numbers, names, what is asked about, dates) and have an equal answer all the same, then the answer does not depend
    on it. Never where yes or no is asked for, since such answers are equal by chance.

    Args:
        question: the text being asked.
        candidates: entries near to it, the most similar first; those after the 16th are not looked at.
        learner: the tenant's.
        alpha: the greatest share of wrong answers among served ones, in (0, 0.5].
        refuse: the guards.

    Raises:
        ValueError: alpha is not in its range.
    """
    learner.threshold(alpha)  # an alpha out of range is told even when there is nothing to decide
    field = _believed(candidates[:NEIGHBOURS], learner)
    if not field:
        return Decision(None, ())
    asked = wording(question)
    running = [Near(each.entry, each.group, each.similarity, wording(each.text)) for each in field]
    weights = votes(running, learner.trust)
    refused: list[tuple[Candidate, Guard]] = []
    ruled_out = 0.0
    for group, weight in weights.items():
        members = [each for each in field if each.group == group]
        chosen, excused = _allowed(question, members, refuse, refused, asked.closed)
        if chosen is not None:
            near = next(each for each in running if each.entry == chosen.entry)
            features = row(asked, near, running, ruled_out, excused is not None)
            choice = learner.decide(chosen.entry, chosen.group, features, alpha)
            return Decision(Weighed(chosen, features, choice, excused), tuple(refused))
        running = [each for each in running if each.group != group]
        ruled_out += weight / sum(weights.values())
    return Decision(None, tuple(refused))


def explain(decision: Decision, candidates: int, learner: Learner, alpha: float) -> Explanation:
    """Why `decision`, made on so many candidates, is what it is."""
    weighed = decision.weighed
    return Explanation(
        reason=_reason(weighed, candidates),
        candidates=candidates,
        refused=tuple((str(guard), candidate.similarity) for candidate, guard in decision.refused),
        similarity=None if weighed is None else weighed.candidate.similarity,
        features=() if weighed is None else tuple(zip(NAMES, map(float, weighed.features), strict=True)),
        p_wrong=None if weighed is None else weighed.choice.p_wrong,
        threshold=learner.threshold(alpha),
        alpha=alpha,
    )


def _believed(candidates: Sequence[Candidate], learner: Learner) -> Sequence[Candidate]:
    believed = [each for each in candidates if learner.trust(each.group) >= _LEAST_TRUST]
    return believed or candidates


def _allowed(
    question: str,
    members: Sequence[Candidate],
    refuse: Refuse,
    refused: list[tuple[Candidate, Guard]],
    closed: bool,
) -> tuple[Candidate | None, Guard | None]:
    """The most similar member that no guard refuses, or whose refusal is excused."""
    objections: list[tuple[Candidate, Guard]] = []
    for member in members:
        guard = refuse(question, member.text)
        if guard is None:
            refused.extend(objections)
            return member, None
        objections.append((member, guard))
    refused.extend(objections)
    nearest, objection = objections[0]
    if not closed and objection in _PARAMETERS and _shown_without_matter(objection, objections, refuse):
        return nearest, objection
    return None, None


def _shown_without_matter(objection: Guard, objections: Sequence[tuple[Candidate, Guard]], refuse: Refuse) -> bool:
    """Whether enough members differ from each other, and not only from the question, in this respect."""
    examples: list[str] = []
    for member, guard in objections[:_LOOKED_AT]:
        if guard is objection and all(refuse(member.text, example) is objection for example in examples):
            examples.append(member.text)
    return len(examples) >= _EXAMPLES


def _reason(weighed: Weighed | None, candidates: int) -> str:
    if weighed is None:
        return "guards refused every candidate" if candidates else "nothing is near the question"
    odds, threshold = f"P(wrong) {weighed.choice.p_wrong:.4f}", f"the threshold {weighed.choice.threshold:.4f}"
    match weighed.choice.kind:
        case Kind.SERVE:
            return f"{odds} is within {threshold}"
        case Kind.AUDIT:
            return f"{odds} is within {threshold}, but the draw made it an audit"
        case Kind.MISS:
            return f"{odds} is above {threshold}"
