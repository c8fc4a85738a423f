"""Direction: who does what to whom, and from where to where."""

from collections.abc import Mapping
from itertools import combinations
from operator import attrgetter
from typing import Final, NamedTuple

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.measures import UNITS
from services.semantic_cache.guards.lexicon.synonyms import meaning
from services.semantic_cache.guards.lexicon.tables import words
from services.semantic_cache.guards.lexicon.vocabulary import VERBS, is_general
from services.semantic_cache.guards.reading import Content

_CONFLICTS: Final = frozenset(
    frozenset(roles.split("/"))
    for roles in words("from/to by/about for/against by/against after/before until/after over/under")
)
_DIRECTED: Final = words("from to by than of against before after over under instead")
_PRONOUNS: Final = (("i", "me"), ("he", "him"), ("we", "us"), ("they", "them"))
_VERBS: Final = frozenset(map(meaning, VERBS))
_FEWEST: Final = 2
# Pairs are compared; a text with more shared words than this is compared in its first ones.
_MOST: Final = 24


class _Move(NamedTuple):
    """A word and its places."""

    first: Content
    second: Content
    before: int
    after: int


def differ(pair: Contrast) -> bool:
    """Whether the same words play other parts: "from A to B" and "from B to A", "A owes B" and "B owes A".

    A part that merely moves is no other part: "to B from A" and "from A to B", "tomorrow in Rome" and "in Rome
    tomorrow", "A and B" and "B and A".
    """
    first, second = pair.one.parts, pair.other.parts
    shared = [word for word in first if word in second][:_MOST]
    if len(shared) < _FEWEST and not pair.same_content:
        return _conflict(first, second, shared)
    return _conflict(first, second, shared) or _exchanged(first, second, shared) or _swapped(pair, first, second)


def _conflict(first: Mapping[str, Content], second: Mapping[str, Content], shared: list[str]) -> bool:
    return any(frozenset((first[word].role, second[word].role)) in _CONFLICTS for word in shared)


def _exchanged(first: Mapping[str, Content], second: Mapping[str, Content], shared: list[str]) -> bool:
    """Whether two words have taken each other's role."""
    moved = {
        (first[word].role, second[word].role)
        for word in shared
        if first[word].role != second[word].role and _directed(word, first[word].role, second[word].role)
    }
    return any((after, before) in moved for before, after in moved)


def _directed(word: str, *roles: str) -> bool:
    # "50 dollars in euros" has a direction, "in Rome on Monday" has none.
    return not _DIRECTED.isdisjoint(roles) or ("at" in roles and (word in UNITS or not is_general(word)))


def _swapped(pair: Contrast, first: Mapping[str, Content], second: Mapping[str, Content]) -> bool:
    """Whether two words have changed places and thereby their parts."""
    if not pair.same_content or pair.one.meanings == pair.other.meanings:
        return False
    before = {word: place for place, word in enumerate(pair.one.meanings)}
    after = {word: place for place, word in enumerate(pair.other.meanings)}
    moves = [_Move(first[word], second[word], place, after[word]) for word, place in before.items()][:_MOST]
    moves.sort(key=attrgetter("before"))
    return any(one.after > other.after and _matters(pair, one, other, moves) for one, other in combinations(moves, 2))


def _matters(pair: Contrast, one: _Move, other: _Move, moves: list[_Move]) -> bool:
    """Whether it says something else that `one` stood before `other` and now stands behind it."""
    if one.first.joined and one.second.joined:
        return False
    if _is_acting(pair, one, other):
        return True
    if one.first.role != other.first.role or one.second.role != other.second.role:
        return False
    if one.first.name and other.first.name:
        return True
    return any(one.before < pivot.before < other.before and other.after < pivot.after < one.after for pivot in moves)


def _is_acting(pair: Contrast, one: _Move, other: _Move) -> bool:
    """Whether order alone tells who acts: "who did X beat" and "who beat X", "do I owe X" and "does X owe me"."""
    if "who" in pair.one.bag and "who" in pair.other.bag:
        return "of" not in (one.first.role, one.second.role, other.first.role, other.second.role)
    verbal = one.first.word in _VERBS or other.first.word in _VERBS
    return verbal and one.first.name != other.first.name and _trades_parts(pair.one.bag, pair.other.bag)


def _trades_parts(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether a person who acts in one text is acted on in the other."""
    only_one, only_other = one - other, other - one
    return any(
        (subject in only_one and object_ in only_other) or (object_ in only_one and subject in only_other)
        for subject, object_ in _PRONOUNS
    )
