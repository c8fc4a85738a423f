"""Names: a person, place or product that only one of the questions mentions."""

import re
from itertools import pairwise
from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.function_words import FUNCTION_WORDS
from services.semantic_cache.guards.lexicon.stems import misspelt, stem
from services.semantic_cache.guards.lexicon.synonyms import meaning
from services.semantic_cache.guards.lexicon.tables import words
from services.semantic_cache.guards.lexicon.vocabulary import is_general
from services.semantic_cache.guards.reading import Content, Reading

_WORD: Final = re.compile(r"(?<![^\W_])[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_CAPITAL_INSIDE: Final = re.compile(r"(?<=.)[A-Z\u00c0-\u00de\u0391-\u03a9\u0410-\u042f]")
_TITLES: Final = words("mr mrs ms dr prof st vs")
_SENTENCE_ENDS: Final = re.compile(r"[.!?\n]")
# Every noun has a capital in German; a headline's every word has one.
_GERMAN: Final = words("der das den dem ein eine einen ist und wie nicht für mit von ich wird kann wer welche hat im")
_HEADLINE_SHARE: Final = 0.6
_DOUBLED: Final = re.compile(r"(?<=..)(.)\1(?=..)")
_MOST_MISSING: Final = 8
_ELISIONS: Final = 2
_PLACING: Final = words("at from to by against of with about for")


def differ(pair: Contrast) -> bool:
    """Whether one text has a word that is likely a name and missing in the other, however it is written there.

    Likely are words with capitals where a sentence does not ask for them and, because chat users seldom write any,
    words that are not in the vocabulary of general words. The latter, and general words with capitals, object where
    they are all that was added, where both sides have one of their own, or behind a preposition ("in", "from", "by");
    elsewhere they may just rephrase.
    """
    one, other = pair.one, pair.other
    lonely, alone = _missing_names(one, other), _missing_names(other, one)
    proper, own = _missing_capitals(one, other), _missing_capitals(other, one)
    if any(not is_general(stem(name)) for name in proper | own):
        return True
    left, right = bool(lonely or proper), bool(alone or own)
    if left and right:
        return True
    added = not pair.gap[0] or not pair.gap[1]
    return (added and (left or right)) or any(item.role in _PLACING for item in lonely + alone)


def _missing_names(one: Reading, other: Reading) -> list[Content]:
    if not (one.english and other.english):
        return []
    missing = [item for item in one.names if item.word not in other.meanings]
    # Two texts of so many different words are not the same question, however they are spelt.
    return missing if len(missing) > _MOST_MISSING else [item for item in missing if not mentioned(item.word, other)]


def _missing_capitals(one: Reading, other: Reading) -> set[str]:
    if one.text.islower():
        return set()
    # What is part of a phrase ("United States") is no word of its own.
    missing = {name for name in _capitalised(one) & one.bag if name not in other.bag}
    return missing if len(missing) > _MOST_MISSING else {name for name in missing if not mentioned(stem(name), other)}


def mentioned(word: str, other: Reading) -> bool:
    """Whether `word`, a stem, stands in `other` in some spelling."""
    if word in other.stems or meaning(word) in other.meanings:
        return True
    # "carry-on" and "carryon", "wi-fi" and "wifi".
    if any(stem(first + second) == word for first, second in pairwise(other.words)):
        return True
    # "hillary" and "hilary" are one name, "johnson" and "johnston" are two.
    single = _DOUBLED.sub(r"\1", word)
    return any(
        single == _DOUBLED.sub(r"\1", known) or (is_general(known) and misspelt(word, known)) for known in other.stems
    )


def _capitalised(reading: Reading) -> set[str]:
    """Words with capitals that no grammar asks for, in lower case."""
    text = reading.text
    if (
        text.islower()
        or not _CAPITAL_INSIDE.search(text)
        or (not reading.english and not _GERMAN.isdisjoint(reading.bag))
    ):
        return set()
    found: set[str] = set()
    before, end, count = "", 0, 0
    for match in _WORD.finditer(text):
        word = match[0]
        opens = end == 0 or (before not in _TITLES and _SENTENCE_ENDS.search(text, end, match.start()) is not None)
        before, end, count = _owner(word), match.end(), count + 1
        if (
            not (word[1:] if opens else word).islower()
            and before not in FUNCTION_WORDS
            and len(word) > (1 if opens else 0)
        ):
            found.add(before)
    return found if len(found) <= _HEADLINE_SHARE * count else set()


def _owner(word: str) -> str:
    """In lower case, without a possessive's ending or an article's elision: "France's" and "l'Italie"."""
    folded = word.lower().replace("\u2019", "'")
    base, _, end = folded.rpartition("'")
    if not base:
        return folded
    return end if len(base) <= _ELISIONS < len(end) else base.replace("'", "")
