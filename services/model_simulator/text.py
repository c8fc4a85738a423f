"""Plain heuristics on English text: sentences, the words that matter, whose words they are."""

import re
from collections.abc import Mapping
from typing import Final

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\n+")
_CLAUSE: Final = re.compile(r",?\s+(?:and|but|while)\s+(?=(?:i|i'm|my|we|our)\b)", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_PERSON: Final = re.compile(
    r"\b(?:i am|i'm|i was|i have|i've|i'd|i'll|i|my|mine|me|myself|we are|we're|we|our|ours|us|am)\b", re.IGNORECASE
)
_SECOND: Final[Mapping[str, str]] = {
    "i am": "you are",
    "i'm": "you are",
    "i was": "you were",
    "i have": "you have",
    "i've": "you have",
    "i'd": "you would",
    "i'll": "you will",
    "i": "you",
    "my": "your",
    "mine": "yours",
    "me": "you",
    "myself": "yourself",
    "we are": "you are",
    "we're": "you are",
    "we": "you",
    "our": "your",
    "ours": "yours",
    "us": "you",
    "am": "are",
}
_STOP: Final = frozenset(
    """a about again all also am an and any are as at be been before but by can could did do does for from had has have
    he her him his how i if in into is it its just know let like many may me mention mentioned mine more most much my
    myself no not now of on one or our please really remember remind said say she should so some tell than that the
    their them then there these they thing things this those to told too up us very want was we were what when where
    which who whom why will with would you your yours""".split()  # noqa: SIM905 - a hundred quoted words read worse
)
_ROLE: Final = re.compile(r"^\s*(?:[-*•]\s*)?(?:\[?(user|human|assistant|system)\]?\s*[:>]\s*)", re.IGNORECASE)
_LONGEST_SENTENCE: Final = 400
# Heuristics on a whole context window would hold up every other call for half a second.
_LONGEST_TEXT: Final = 50_000


def straight(text: str) -> str:
    """`text` with typographic apostrophes made plain, as all patterns expect them; what is very long is cut."""
    return text[:_LONGEST_TEXT].replace("\u2019", "'")


def sentences(text: str) -> list[str]:
    """The sentences and lines of `text`, without those that are empty; very long ones are cut."""
    return [part[:_LONGEST_SENTENCE] for raw in _SENTENCE_END.split(straight(text)) if (part := raw.strip())]


def clauses(sentence: str) -> list[str]:
    """A sentence about oneself in its parts: `My name is Ada and I live in Paris` is two."""
    return [part for raw in _CLAUSE.split(sentence) if (part := raw.strip())]


def words(text: str) -> list[str]:
    """The words of `text` in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def keywords(text: str) -> list[str]:
    """The words that carry meaning, stemmed, each once, in order."""
    return list(dict.fromkeys(stem(word) for word in words(text) if word not in _STOP and len(word) > 1))


def plain_keywords(text: str) -> list[str]:
    """The words that carry meaning as they were written, each once, in order."""
    return list(dict.fromkeys(word for word in _WORD.findall(text) if word.lower() not in _STOP and len(word) > 1))


def stem(word: str) -> str:
    """`word` without the commonest English endings, so that `lives`, `lived` and `living` meet."""
    word = word.removesuffix("'s")
    for ending in ("ing", "ies", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def to_second_person(text: str) -> str:
    """What the user said of themselves, said to the user: `I love my dog` becomes `you love your dog`."""
    return _PERSON.sub(lambda match: _SECOND[match.group(0).lower()], text)


def split_role(line: str) -> tuple[str, str]:
    """The speaker of a transcript's line, in lower case or empty, and what they say."""
    match = _ROLE.match(line)
    if match is None:
        return "", line.strip()
    role = match.group(1).lower()
    return ("user" if role == "human" else role), line[match.end() :].strip()


def clip(text: str, count: int) -> str:
    """At most `count` words of `text`."""
    parts = text.split()
    return " ".join(parts) if len(parts) <= count else " ".join(parts[:count]) + " …"


def capitalise(text: str) -> str:
    """`text` with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def is_question(sentence: str) -> bool:
    """Whether a sentence asks or orders rather than tells."""
    return sentence.rstrip().endswith("?") or _ASKING.match(sentence) is not None


_ASKING: Final = re.compile(
    r"\s*(?:what|where|when|who|whom|whose|which|why|how|do|does|did|can|could|would|will|is|are|am|was|were|should|"
    r"tell|explain|list|describe|summari[sz]e|remind|give|show|write|please)\b",
    re.IGNORECASE,
)
