"""One subject in another's place: "weather in X" and "weather in Y"."""

from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.measures import UNITS
from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.synonyms import meaning
from services.semantic_cache.guards.lexicon.tables import words
from services.semantic_cache.guards.lexicon.vocabulary import QUALITIES, VERBS
from services.semantic_cache.guards.names import mentioned

_LONGEST: Final = 3
# Verbs are easily exchanged in a free rephrasing, so there the rest must be alike to the small words.
_VERBS: Final = frozenset(map(meaning, VERBS))
_TIGHT: Final = 2
_LIGHT_WORDS: Final = """
get have do make set put take go use see find show need want start run give look hear add create order book schedule
play receive come bring arrange talk speak turn keep work try begin plan call jump move access read write think feel
believe understand consider describe explain define share send own effective good nice great best better cool awesome
wonderful lovely amazing right proper suggested due required recommended specific certain current actual exact
"""
_LIGHT_NOUNS: Final = """
details information info amount content part case fact idea opinion reason way place time name question answer example
list people someone person thing stuff situation process update news date
"""


def _meanings(table: str) -> frozenset[str]:
    return frozenset(meaning(stem(word)) for word in words(table))


# Words that say little of their own: "set a timer" and "start a timer", "the amount of" and "the details of".
_LIGHT: Final = _meanings(_LIGHT_WORDS)
# What may be added without asking for something else; what a unit means is for another guard.
_OPTIONAL: Final = frozenset(map(meaning, QUALITIES)) | _VERBS | _meanings(" ".join(UNITS))
_VAGUE: Final = _LIGHT | _meanings(_LIGHT_NOUNS)


def differ(pair: Contrast) -> bool:
    """Whether the questions are alike but for one place, where each has another word or one has a noun more.

    Inflections and known synonyms are no other words (`lexicon`), nor is a typing slip, nor are two words that say
    little of their own. Freely rephrased questions differ in more than one place and are left to the calibrated score.
    """
    left, right = pair.gap
    if max(len(left), len(right)) > _LONGEST or left == right:
        return False
    only_edit = pair.is_one_edit()
    if not left or not right:
        # "The square of" and "the square root of".
        return only_edit and not _OPTIONAL.issuperset(left + right)
    vague = _LIGHT if only_edit else _VAGUE
    if vague.issuperset(left) and vague.issuperset(right):
        return False
    if len(left) == len(right) == 1:
        return not _same(pair, left[0], right[0])
    # Elsewhere much must be alike to call it the same place.
    return only_edit or (len(left + right) <= _LONGEST + 1 and pair.shared >= len(left + right))


def _same(pair: Contrast, one: str, other: str) -> bool:
    """Whether two words in one place may well ask for the same."""
    if mentioned(one, pair.other) or mentioned(other, pair.one):
        return True
    return one in _VERBS and other in _VERBS and max(len(pair.left), len(pair.right)) > _TIGHT
