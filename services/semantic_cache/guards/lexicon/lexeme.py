"""What is known of a single word, looked up once."""

from dataclasses import dataclass
from functools import lru_cache

from services.semantic_cache.guards.lexicon.function_words import FOREIGN_FUNCTION_WORDS, FUNCTION_WORDS
from services.semantic_cache.guards.lexicon.measures import UNITS
from services.semantic_cache.guards.lexicon.numerals import NUMERALS
from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.synonyms import PHRASE_STEMS, meaning
from services.semantic_cache.guards.lexicon.vocabulary import VERBS, is_general


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A word of the dictionary, or one that is missing there."""

    stem: str
    """Stands for the word's inflections."""
    meaning: str
    """The stem that stands for its synonyms too."""
    known: bool
    """Whether it is an English function word, a unit or a general English word. What is not known may be a name."""
    grammar: bool
    """Whether it is an English function word or a number, which say nothing of the subject."""
    foreign_grammar: bool
    """Whether it is a function word of another language, but not of English."""
    verb: bool
    """Whether it can be a general verb."""


@lru_cache(maxsize=16384)
def look_up(word: str) -> Lexeme:
    """What is known of `word`, in lower case."""
    root = stem(word)
    means = meaning(root)
    function = word in FUNCTION_WORDS
    return Lexeme(
        stem=root,
        meaning=means,
        known=function or word in UNITS or is_general(root) or root in PHRASE_STEMS or means != root,
        grammar=function or word in NUMERALS,
        foreign_grammar=not function and word in FOREIGN_FUNCTION_WORDS,
        verb=root in VERBS,
    )
