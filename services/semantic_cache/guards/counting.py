"""The numbers of a text, in one notation."""

import re
from decimal import Decimal
from typing import Final

from services.semantic_cache.guards.lexicon.numerals import BELOW_HUNDRED, FIXED, MULTIPLES

_TOKEN: Final = re.compile(r"(?:(?<![^\W_])[-\u2212])?(\d+(?:[.,:/]\d+)*)|[^\W\d_]+")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PLAIN: Final = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_SUFFIXES: Final = {**MULTIPLES, "k": 1000, "bn": 10**9}
_HUNDRED: Final = 100


def numbers_in(text: str) -> tuple[str, ...]:
    """The numbers of `text` in their order; "five", "5" and "5th" are alike, and so are "5 million" and "5,000,000"."""
    run = _Run()
    for match in _TOKEN.finditer(text):
        if match[1] is not None:
            run.digits(_notation(match[0]))
        else:
            run.word(match[0].lower())
    run.close()
    return tuple(run.found)


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
