"""A text taken apart once, so that the guards only compare."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from services.semantic_cache.guards.counting import numbers_in
from services.semantic_cache.guards.lexicon.function_words import ROLES, TRANSPARENT
from services.semantic_cache.guards.lexicon.lexeme import Lexeme, look_up
from services.semantic_cache.guards.lexicon.numerals import NUMERALS
from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.synonyms import meaning
from services.semantic_cache.guards.lexicon.vocabulary import is_general
from services.semantic_cache.guards.notation import spelt
from services.semantic_cache.guards.speaker import tells_of_speaker
from services.semantic_cache.guards.wordlist import words_in

# Readings that are kept. A lookup reads its question once for all candidates, and popular candidates come again.
_KEPT: Final = 512
_DIGIT: Final = re.compile(r"\d")
_SELF: Final = frozenset({"i", "my"})
_JOINING: Final = frozenset({"and", "or", "und", "oder", "et", "ou", "y", "o", "e"})
# Of the words of an English text at least one in so many is known.
_KNOWN_ONE_IN: Final = 3


class Content(NamedTuple):
    """A word that says what a text is about."""

    word: str
    """The stem that stands for its meaning."""
    role: str
    """What the preposition before it makes of it; empty without one."""
    joined: bool
    """Whether it is joined to another by "and" or "or", where the order says nothing."""
    name: bool
    """Whether it may be a name: no general word (see `vocabulary`). Never in languages that are not English."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the guards know of a text."""

    text: str
    """As it was asked, sums written out."""
    words: tuple[str, ...]
    """Lower case, contractions written out, common phrases as one word; neither digits nor signs."""
    bag: frozenset[str]
    """The words."""
    stems: frozenset[str]
    """The words' stems."""
    content: tuple[Content, ...]
    """In their order; no numbers, no function words."""
    parts: Mapping[str, Content]
    """The content by its words; of a word that comes twice the last."""
    meanings: tuple[str, ...]
    """The content's words."""
    names: tuple[Content, ...]
    """The content that may be a name."""
    english: bool
    speaker: bool
    """Whether it tells something of who asks."""
    numeric: bool
    """Whether it has digits or number words."""
    numbers: tuple[str, ...]
    """In their order and in one notation."""

    def groups_of(self, groups: Mapping[str, str]) -> set[str]:
        """The values in `groups` of the words that are in the text."""
        return set() if self.bag.isdisjoint(groups) else {groups[word] for word in self.bag if word in groups}


@lru_cache(maxsize=_KEPT)
def read(text: str) -> Reading:
    """Takes `text` apart. Linear in its length."""
    text = spelt(text)
    words = words_in(text)
    bag = frozenset(words)
    lexemes = [look_up(word) for word in words]
    english = _is_english(lexemes)
    content = tuple(_content_of(words, lexemes, english))
    numeric = _DIGIT.search(text) is not None or not NUMERALS.isdisjoint(bag)
    return Reading(
        text=text,
        words=words,
        bag=bag,
        stems=frozenset([lexeme.stem for lexeme in lexemes]),
        content=content,
        parts={item.word: item for item in content},
        meanings=tuple([item.word for item in content]),
        names=tuple([item for item in content if item.name]),
        english=english,
        speaker=not _SELF.isdisjoint(bag) and tells_of_speaker(text),
        numeric=numeric,
        numbers=numbers_in(text) if numeric else (),
    )


def forget_readings() -> None:
    """Hold no text, and no word of one, that was taken apart until now; what comes again is taken apart anew."""
    # A text in a script without spaces is one word.
    for remembered in (read, look_up, meaning, stem, is_general):
        remembered.cache_clear()


def _is_english(lexemes: list[Lexeme]) -> bool:
    known = sum([lexeme.known for lexeme in lexemes])
    foreign = sum([lexeme.foreign_grammar for lexeme in lexemes])
    return known > foreign and _KNOWN_ONE_IN * known >= len(lexemes)


def _content_of(words: tuple[str, ...], lexemes: list[Lexeme], english: bool) -> list[Content]:
    found: list[Content] = []
    role, joined = "", False
    for word, lexeme in zip(words, lexemes, strict=True):
        if word in ROLES:
            role, joined = ROLES[word], False
        elif word in _JOINING:
            joined = True
            if found:
                found[-1] = found[-1]._replace(joined=True)
        elif lexeme.grammar or (not english and lexeme.foreign_grammar):
            # "From my two accounts": neither article nor number ends a preposition's reach.
            role = role if word in TRANSPARENT or word in NUMERALS else ""
        else:
            # "To" before a verb is no direction.
            role = "" if role == "to" and lexeme.verb else role
            found.append(Content(lexeme.meaning, role, joined, english and not lexeme.known))
            joined = False
    return found
