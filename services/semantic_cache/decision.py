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
    SYMBOLS_DIFFER = "symbols_differ"
    NAMES_DIFFER = "names_differ"
    QUOTES_DIFFER = "quotes_differ"
    ABOUT_THE_SPEAKER = "about_the_speaker"


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
    "maximum/minimum minus/plus more/less most/least multiply/divide north/south on/off open/close pros/cons "
    "safe/dangerous send/receive start/stop subscribe/unsubscribe times/divided times/minus times/plus "
    "today/tomorrow today/yesterday tomorrow/yesterday win/lose"
)
_OPPOSITES: Final = frozenset(frozenset(pair.split("/")) for pair in _OPPOSITE_PAIRS.split())

# Signs that calculate, compare or name a currency. Between two letters a hyphen, a slash or a sign joins words.
_LETTER: Final = r"[^\W\d_]"
_SYMBOL: Final = re.compile(
    rf"(?:(?<!{_LETTER})[-\u2212/|~]|[-\u2212/|~](?!{_LETTER}))|[+*^%=<>#\u00d7\u00f7\u00b1\u221a\u2264\u2265\u2260]"
    r"|[\u00b2\u00b3$\u20ac\u00a3\u00a5]|(?<=\d)!"
)
_QUOTED: Final = re.compile(
    r'"[^"]*"|\u201c[^\u201d]*\u201d|\u00ab[^\u00bb]*\u00bb|`[^`]*`|(?<!\w)[\'\u2018][^\'\u2019]+[\'\u2019](?!\w)'
)
_SENTENCE_ENDS: Final = ".!?\n"
_TITLES: Final = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "vs"})
# "May" and "march" are missing on purpose: in lower case they are other words, in upper case they count anyway.
_CALENDAR_WORDS: Final = (
    "monday tuesday wednesday thursday friday saturday sunday "
    "january february april june july august september october november december"
)
_CALENDAR: Final = frozenset(_CALENDAR_WORDS.split()) | frozenset(f"{day}s" for day in _CALENDAR_WORDS.split()[:7])
_NO_NAMES: Final = frozenset(f"i{rest}" for rest in ("", "'m", "'ve", "'ll", "'d", "\u2019ve", "\u2019ll", "\u2019d"))
_SPEAKER: Final = re.compile(
    r"(?<!\w)(?:i(?:\s+am|['\u2019]m|\s+live)|my\s+name['\u2019]s|my\s+(?:[^\W\d_]+\s+){1,2}(?:is|are|was))(?!\w)",
    re.IGNORECASE,
)


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
    if tells_of_speaker(question) or tells_of_speaker(candidate):
        return Verdict.ABOUT_THE_SPEAKER
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
    return _judge_marks(question, candidate)


def _judge_marks(question: str, candidate: str) -> Verdict:
    """What spelling tells: signs, quotations, capitals."""
    if _SYMBOL.findall(question) != _SYMBOL.findall(candidate):
        return Verdict.SYMBOLS_DIFFER
    if _QUOTED.findall(question) != _QUOTED.findall(candidate):
        return Verdict.QUOTES_DIFFER
    # A name counts as mentioned however it is written on the other side, so "france" and "France's" are France.
    if not (_names(question) <= _mentioned(candidate) and _names(candidate) <= _mentioned(question)):
        return Verdict.NAMES_DIFFER
    return Verdict.SAME_MEANING


def tells_of_speaker(text: str) -> bool:
    """Whether the text says something about who asks, so that its answer is not for others.

    Such a question is found by equal text alone: what it tells may be anything, and no rule here compares it.
    """
    return _SPEAKER.search(text) is not None


def _names(text: str) -> set[str]:
    """Words that are likely names, casefolded: capitalised inside a sentence, or with capitals inside; and dates.

    A capital at the beginning of a sentence says nothing. In languages that capitalise every noun all of them count,
    which costs hits.
    """
    found: set[str] = set()
    before, end = "", 0
    for match in _WORD.finditer(text):
        word, gap = match[0], text[end : match.start()]
        opens = end == 0 or (before not in _TITLES and any(mark in gap for mark in _SENTENCE_ENDS))
        before, end = _bare(word), match.end()
        if before in _CALENDAR or (_has_capital(word, opens) and before not in _NO_NAMES):
            found.add(before)
    return found


def _has_capital(word: str, opens: bool) -> bool:
    return any(letter.isupper() for letter in (word[1:] if opens else word))


def _mentioned(text: str) -> set[str]:
    return {_bare(word) for word in _WORD.findall(text)}


def _bare(word: str) -> str:
    folded = word.casefold()
    return folded[:-2] if folded.endswith(("'s", "\u2019s")) else folded


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _numbers(text: str, words: Iterable[str]) -> tuple[list[str], list[str]]:
    return _NUMBER.findall(text), [_NUMBER_WORDS[word] for word in words if word in _NUMBER_WORDS]


def _negations(words: Iterable[str]) -> int:
    return sum(word in _NEGATIONS or word.endswith(("n't", "n\u2019t")) for word in words)


def _opposed(asked: set[str], answered: set[str]) -> bool:
    # Only a few words differ between texts this similar, so the product is small.
    return any(frozenset((one, other)) in _OPPOSITES for one in asked - answered for other in answered - asked)
