"""Answers sums: the one kind of question a simulator can get right."""

import re
from fractions import Fraction
from typing import Final

_NAMES: Final = (
    (re.compile(r"\bplus\b", re.IGNORECASE), "+"),
    (re.compile(r"\bminus\b", re.IGNORECASE), "-"),
    (re.compile(r"\b(?:times|multiplied by)\b|\u00d7|(?<=\d)\s*x\s*(?=\d)", re.IGNORECASE), "*"),
    (re.compile(r"\bdivided by\b|\u00f7", re.IGNORECASE), "/"),
)
_ASKS: Final = re.compile(
    r"\b(?:what is|what's|how much is|calculate|compute|evaluate|solve|work out)\b|=", re.IGNORECASE
)
_SUM: Final = re.compile(r"[-(]*\d[\d.,]*\)*(?:\s*[-+*/]\s*[-(]*\d[\d.,]*\)*)+")
_DATE: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}/\d{2,4}")
_PART: Final = re.compile(r"\d+(?:\.\d+)?|[-+*/()]")
_LONGEST: Final = 200


def solve(question: str) -> str | None:
    """`17 * 4 = 68` for a question with a sum in it, None for any other."""
    text = question[:1000]
    for pattern, sign in _NAMES:
        text = pattern.sub(f" {sign} ", text)
    match = _SUM.search(text)
    if match is None or len(match.group(0)) > _LONGEST or _DATE.search(text):
        return None
    if not _ASKS.search(text) and match.group(0).strip() != text.strip(" ?=.!"):
        return None
    parts = _PART.findall(re.sub(r"(?<=\d),(?=\d{3}\b)", "", match.group(0)))
    shown = " ".join(parts).replace("( ", "(").replace(" )", ")")
    try:
        value = _Parser(parts).parse()
    except ZeroDivisionError:
        return f"{shown} has no value, because it divides by zero"
    except ValueError:
        return None
    return f"{shown} = {_show(value)}"


def _show(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.6g}"


class _Parser:
    """Recursive descent over + - * / and parentheses, with exact fractions."""

    def __init__(self, parts: list[str]) -> None:
        self._parts = parts
        self._at = 0

    def parse(self) -> Fraction:
        value = self._sum()
        if self._at < len(self._parts):
            raise ValueError("something is left over")
        return value

    def _peek(self) -> str:
        return self._parts[self._at] if self._at < len(self._parts) else ""

    def _next(self) -> str:
        part = self._peek()
        self._at += 1
        return part

    def _sum(self) -> Fraction:
        value = self._product()
        while (sign := self._peek()) in ("+", "-"):
            self._at += 1
            right = self._product()
            value = value + right if sign == "+" else value - right
        return value

    def _product(self) -> Fraction:
        value = self._factor()
        while (sign := self._peek()) in ("*", "/"):
            self._at += 1
            right = self._factor()
            value = value * right if sign == "*" else value / right
        return value

    def _factor(self) -> Fraction:
        part = self._next()
        if part == "-":
            return -self._factor()
        if part == "(":
            value = self._sum()
            if self._next() != ")":
                raise ValueError("a parenthesis is missing")
            return value
        return Fraction(part)
