"""Numbers: 17 is not 18, however alike the questions are."""

import re
from decimal import Decimal
from itertools import pairwise
from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.measures import UNITS
from services.semantic_cache.guards.lexicon.numerals import BELOW_HUNDRED, FIXED, MULTIPLES
from services.semantic_cache.guards.reading import Reading

_TOKEN: Final = re.compile(r"(?:(?<![^\W_])[-\u2212])?(\d+(?:[.,:/]\d+)*)|[^\W\d_]+")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PLAIN: Final = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_SUFFIXES: Final = {**MULTIPLES, "k": 1000, "bn": 10**9}
_ONES: Final = frozenset({"one", "first", "once", "single"})
_ARTICLES: Final = frozenset({"a", "an", "per"})
_HUNDRED: Final = 100


def differ(pair: Contrast) -> bool:
    """Whether the numbers differ in value, count or order; "five", "5" and "5th" are alike, "1" is also "one" or "a".

    The order counts because "3 minus 5" is not "5 minus 3"; a date that is turned around is refused with it.
    """
    if not pair.one.numeric and not pair.other.numeric:
        return False
    first, second = numbers_in(pair.one), numbers_in(pair.other)
    if first == second:
        return False
    if "1" not in first and "1" not in second:
        return True
    return _implied(first, pair.other) != _implied(second, pair.one)


def numbers_in(reading: Reading) -> list[str]:
    """The numbers of a text in their order."""
    if not reading.numeric:
        return []
    run = _Run()
    for match in _TOKEN.finditer(reading.text):
        if match[1] is not None:
            run.digits(_notation(match[0]))
        else:
            run.word(match[0].lower())
    run.close()
    return run.found


def _implied(numbers: list[str], other: Reading) -> list[str]:
    """The numbers without the ones that the other text says as "one month", "a month" or "first"."""
    words = other.words
    said = not _ONES.isdisjoint(other.bag) or any(
        word in _ARTICLES and after in UNITS for word, after in pairwise(words)
    )
    return [number for number in numbers if number != "1"] if said else numbers


def _notation(digits: str) -> str:
    """One notation: no comma between thousands, no zeros in front. "3.10" stays apart from "3.1"."""
    bare = digits.replace("\u2212", "-")
    if _THOUSANDS.fullmatch(bare):
        bare = bare.replace(",", "")
    return (bare.lstrip("0") or "0") if bare.isdigit() else bare


class _Run:
    """Reads numbers token by token and joins the words of one: "two hundred and five"."""

    def __init__(self) -> None:
        self.found: Final[list[str]] = []
        self._total = self._group = self._room = 0
        self._open = False

    def digits(self, number: str) -> None:
        self.close()
        self.found.append(number)

    def word(self, word: str) -> None:
        small, multiple = BELOW_HUNDRED.get(word), MULTIPLES.get(word)
        if small is not None:
            self._small(small)
        elif self._open and multiple is not None:
            self._multiple(multiple)
        elif self.found and word in _SUFFIXES and _PLAIN.fullmatch(self.found[-1]):
            # "5 million" and "5m" are 5000000, wherever the number stands.
            self.found[-1] = f"{(Decimal(self.found[-1]) * _SUFFIXES[word]).normalize():f}"
        elif multiple is not None:
            self._small(1)
            self._multiple(multiple)
        elif not (self._open and word == "and"):
            self.close()
            if word in FIXED:
                self.found.append(FIXED[word])

    def close(self) -> None:
        # A lone "one" mostly stands for a noun.
        if self._open and self._total + self._group != 1:
            self.found.append(str(self._total + self._group))
        self._total = self._group = self._room = 0
        self._open = False

    def _small(self, value: int) -> None:
        if self._open and not 0 < value < self._room:
            self.close()
        self._group += value
        self._open = True
        self._room = 10 if value >= 20 else 0

    def _multiple(self, multiple: int) -> None:
        if multiple == _HUNDRED:
            if self._group >= _HUNDRED:
                self.close()
                self._open = True
            self._group = max(1, self._group) * _HUNDRED
        else:
            self._total += max(1, self._group) * multiple
            self._group = 0
        self._room = multiple
