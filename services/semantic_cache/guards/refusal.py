"""All guards, in the order in which they are asked."""

from collections.abc import Callable
from typing import Final

from services.semantic_cache.guards import (
    antonyms,
    dates,
    direction,
    extent,
    names,
    negation,
    numbers,
    person,
    question_type,
    quotes,
    subjects,
    symbols,
    tense,
    units,
)
from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.reading import read
from services.semantic_cache.guards.reasons import Guard

# Cheap ones and those that say most clearly what is wrong come first.
_GUARDS: Final[tuple[tuple[Guard, Callable[[Contrast], bool]], ...]] = (
    (Guard.NUMBERS, numbers.differ),
    (Guard.NEGATION, negation.differ),
    (Guard.CALENDAR, dates.differ),
    (Guard.OPPOSITES, antonyms.differ),
    (Guard.UNITS, units.differ),
    (Guard.SYMBOLS, symbols.differ),
    (Guard.QUOTES, quotes.differ),
    (Guard.NAMES, names.differ),
    (Guard.SUBJECTS, subjects.differ),
    (Guard.DIRECTION, direction.differ),
    (Guard.QUESTION_TYPE, question_type.differ),
    (Guard.TENSE, tense.differ),
    (Guard.PERSON, person.differ),
    (Guard.EXTENT, extent.differ),
)


def refuse(question: str, candidate: str) -> Guard | None:
    """The first reason why the answer to `candidate` must not be served for `question`, or None if no guard objects.

    Symmetric, and never an objection to a text that is equal, unless it tells of the speaker. No objection is no
    promise: what remains is decided by the calibrated score. Every guard errs towards a miss, which costs a model call.
    """
    one, other = read(question), read(candidate)
    if one.speaker or other.speaker:
        return Guard.SPEAKER
    if question == candidate:
        return None
    pair = Contrast.of(one, other)
    return next((reason for reason, differs in _GUARDS if differs(pair)), None)
