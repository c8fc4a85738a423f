"""Units and currencies: five miles are not five kilometres."""

import re
from itertools import pairwise
from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.measures import TIME_UNITS, UNITS
from services.semantic_cache.guards.lexicon.numerals import NUMERALS
from services.semantic_cache.guards.lexicon.tables import words
from services.semantic_cache.guards.reading import Reading

# Short or ambiguous spellings: a unit only behind a number.
_ONLY_BEHIND_NUMBERS: Final = words(
    """
    s h g l c f b v w m mi an ans am pm a.m p.m min sec gal amp amps bar bars bit bits cal second stone rub won an mes
    tag hp rs foot cup knot volt newton pascal quarter quarters eth degree degrees
    """
)
_ALONE: Final = frozenset(UNITS) - _ONLY_BEHIND_NUMBERS
_BESIDE_DIGITS: Final = re.compile(r"(?<=\d)\s*(?:-\s*)?([^\W\d_](?:[^\W\d_]|\.(?=m))*|%|°\s*[cf]?)", re.IGNORECASE)
_SIGNS: Final = re.compile(r"[$\u20ac\u00a3\u00a5\u20b9\u20a9%]")
_SIGNED: Final = re.compile(r"[\d$\u20ac\u00a3\u00a5\u20b9\u20a9%]")


def differ(pair: Contrast) -> bool:
    """Whether a measure is given in another unit, or a number has a unit on one side only.

    "$5" is "5 dollars" and "10%" is "10 percent"; nothing is converted, so "1 km" is not "1000 m".
    """
    first, second = _units_in(pair.one), _units_in(pair.other)
    if first.keys() == second.keys():
        return False
    left, right = first.keys() - second.keys(), second.keys() - first.keys()
    if left and right:
        return True
    surplus, held, rest = (left, first, second) if left else (right, second, first)
    # A second measure beside a common one is the target of a conversion.
    return any(held[unit] or (unit not in TIME_UNITS and rest.keys() - TIME_UNITS) for unit in surplus)


def _units_in(reading: Reading) -> dict[str, bool]:
    """The units of a text, and of each whether it stands beside a number."""
    units = {} if _ALONE.isdisjoint(reading.bag) else {UNITS[word]: False for word in reading.bag & _ALONE}
    if _SIGNED.search(reading.text):
        beside = (match.lower().replace(" ", "") for match in _BESIDE_DIGITS.findall(reading.text))
        units |= {UNITS[word]: True for word in (*beside, *_SIGNS.findall(reading.text)) if word in UNITS}
    if reading.numeric and not NUMERALS.isdisjoint(reading.bag):
        units |= {UNITS[unit]: True for number, unit in pairwise(reading.words) if number in NUMERALS and unit in UNITS}
    return units
