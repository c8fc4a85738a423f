"""Numbers: 17 is not 18, however alike the questions are."""

from itertools import pairwise
from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.measures import UNITS
from services.semantic_cache.guards.reading import Reading

_ONES: Final = frozenset({"one", "first", "once", "single"})
_ARTICLES: Final = frozenset({"a", "an", "per"})


def differ(pair: Contrast) -> bool:
    """Whether the numbers differ in value, count or order; "five", "5" and "5th" are alike, "1" is also "one" or "a".

    The order counts because "3 minus 5" is not "5 minus 3"; a date that is turned around is refused with it.
    """
    first, second = pair.one.numbers, pair.other.numbers
    if first == second:
        return False
    if "1" not in first and "1" not in second:
        return True
    return _implied(first, pair.other) != _implied(second, pair.one)


def _implied(numbers: tuple[str, ...], other: Reading) -> tuple[str, ...]:
    """The numbers without the ones that the other text says as "one month", "a month" or "first"."""
    words = other.words
    said = not _ONES.isdisjoint(other.bag) or any(
        word in _ARTICLES and after in UNITS for word, after in pairwise(words)
    )
    return tuple([number for number in numbers if number != "1"]) if said else numbers
