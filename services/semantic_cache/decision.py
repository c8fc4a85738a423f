"""Whether an answer may stand in for another question's: the place where a wrong hit is prevented.

Embeddings see what a text is about, not what exactly it asks: "17 times 3" and "17 times 4" lie close together, and a
"not" hardly moves a vector. So a similarity above the threshold is needed but not enough. Every rule here errs towards
a miss, which costs a model call; a wrong hit costs a user's trust.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final


class Verdict(Enum):
    """What became of a candidate."""

    SAME_MEANING = "same_meaning"
    TOO_FAR = "too_far"
    NUMBERS_DIFFER = "numbers_differ"
    NEGATION_DIFFERS = "negation_differs"
    OPPOSITE = "opposite"
    REORDERED = "reordered"


_NUMBER: Final = re.compile(r"(?:(?<!\w)[-\u2212])?\d+(?:[.,:/]\d+)*")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
# "one" is missing on purpose: as a pronoun ("which one") it is no number, and against any other number word a
# missing one differs all the same.
_NUMBER_WORDS: Final[Mapping[str, str]] = {
    word: str(value)
    for value, words in {
        0: "zero",
        2: "two twice second",
        3: "three third",
        4: "four fourth",
        5: "five fifth",
        6: "six sixth",
        7: "seven seventh",
        8: "eight eighth",
        9: "nine ninth",
        10: "ten tenth",
        11: "eleven",
        12: "twelve",
        15: "fifteen",
        20: "twenty",
        30: "thirty",
        40: "forty",
        50: "fifty",
        100: "hundred",
        1000: "thousand",
        1_000_000: "million",
    }.items()
    for word in words.split()
}
_NEGATION_WORDS: Final = (
    "not no never none nothing nobody nowhere neither nor without cannot cant dont doesnt didnt isnt wont"
)
_NEGATIONS: Final = frozenset(_NEGATION_WORDS.split())
_OPPOSITE_PAIRS: Final = (
    "activate/deactivate add/remove advantages/disadvantages allow/block before/after best/worst biggest/smallest "
    "buy/sell create/delete deposit/withdraw disable/enable disabled/enabled download/upload east/west "
    "encrypt/decrypt export/import first/last gain/lose high/low highest/lowest hot/cold increase/decrease "
    "install/uninstall largest/smallest legal/illegal lock/unlock login/logout male/female max/min "
    "maximum/minimum more/less most/least north/south on/off open/close pros/cons safe/dangerous send/receive "
    "start/stop subscribe/unsubscribe today/tomorrow today/yesterday tomorrow/yesterday win/lose"
)
_OPPOSITES: Final = frozenset(frozenset(pair.split("/")) for pair in _OPPOSITE_PAIRS.split())


def judge(question: str, candidate: str, similarity: float, threshold: float) -> Verdict:
    """Whether the answer to `candidate` also answers `question`.

    Args:
        question: the text being asked.
        candidate: the text that was answered.
        similarity: cosine of their embeddings.
        threshold: the least similarity that may count, 0 to 1.
    """
    if similarity < threshold:
        return Verdict.TOO_FAR
    asked, answered = _words(question), _words(candidate)
    if _numbers(question, asked) != _numbers(candidate, answered):
        return Verdict.NUMBERS_DIFFER
    if _negations(asked) % 2 != _negations(answered) % 2:
        return Verdict.NEGATION_DIFFERS
    if _opposed(set(asked), set(answered)):
        return Verdict.OPPOSITE
    if asked != answered and sorted(asked) == sorted(answered):
        # "from savings to checking": the same words in another order say who does what to whom.
        return Verdict.REORDERED
    return Verdict.SAME_MEANING


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _numbers(text: str, words: Iterable[str]) -> tuple[list[str], list[str]]:
    return _NUMBER.findall(text), [_NUMBER_WORDS[word] for word in words if word in _NUMBER_WORDS]


def _negations(words: Iterable[str]) -> int:
    return sum(word in _NEGATIONS or word.endswith(("n't", "n\u2019t")) for word in words)


def _opposed(asked: set[str], answered: set[str]) -> bool:
    # Only a few words differ between texts this similar, so the product is small.
    return any(frozenset((one, other)) in _OPPOSITES for one in asked - answered for other in answered - asked)
