"""One notation for sums and times of day, so that "17*3" is "17 times 3"."""

import re
from typing import Final

_DIGIT: Final = re.compile(r"\d")
_NOTATIONS: Final = (
    (re.compile(r"(?<=[\d)])\s*(?:[*\u00d7]|x(?=\s*\d))\s*(?=[\d(])", re.IGNORECASE), " times "),
    (re.compile(r"(?<=[\d)])\s*\+\s*(?=[\d(])"), " plus "),
    (re.compile(r"(?<=[\d)])\s+[-\u2212\u2013]\s+(?=[\d(])"), " minus "),
    (re.compile(r"(?<=[\d)])\s*(?:\u00f7|\s/\s)\s*(?=[\d(])"), " divided by "),
    (re.compile(r"(?<=\d)\s*([ap])\.\s?m\b\.?", re.IGNORECASE), r" \1m"),
    (re.compile(r"(?<=[\d)])\s*+=\s*+\??\s*+$"), ""),
)


def spelt(text: str) -> str:
    """`text` with operators between numbers as words, and "7 a.m." as "7 am".

    "10-5" and "10/5" stay as they are: they may be a range or a date.
    """
    if _DIGIT.search(text):
        for notation, word in _NOTATIONS:
            text = notation.sub(word, text)
    return text
