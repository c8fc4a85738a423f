"""A text's words, in the form in which they can be compared."""

import re
from collections.abc import Mapping
from typing import Final

from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.synonyms import PHRASES
from services.semantic_cache.guards.lexicon.tables import translated

# Languages without spaces are read letter by letter.
_UNSPACED: Final = r"\u3040-\u30ff\u3400-\u9fff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|(?<![^\W_])[^\W\d_{_UNSPACED}]+(?:'[^\W\d_{_UNSPACED}]+)*")
# The same for texts that need no more; several times faster.
_ASCII_WORD: Final = re.compile(r"(?<![a-z0-9])[a-z]+(?:'[a-z]+)*")
_CONTRACTIONS: Final[Mapping[str, list[str]]] = {
    short: full.split()
    for short, full in translated(
        """
        can't=can not, won't=will not, shan't=shall not, let's=let us, i'm=i am, ain't=is not, what's=what is
        where's=where is, who's=who is, how's=how is, when's=when is, why's=why is, it's=it is, that's=that is
        there's=there is, here's=here is, he's=he is, she's=she is, cant=can not, wont=will not, dont=do not
        doesnt=does not, didnt=did not, isnt=is not, arent=are not, wasnt=was not, werent=were not, hasnt=has not
        havent=have not, hadnt=had not, couldnt=could not, wouldnt=would not, shouldnt=should not, mustnt=must not
        cannot=can not, whats=what is, wheres=where is, whos=who is, hows=how is, whens=when is, im=i am, ive=i have
        thats=that is, youre=you are, theyre=they are, gonna=going_to, wanna=want to, gotta=must, u=you, ur=your, r=are
        pls=please, plz=please
        """
    ).items()
}
_ENDINGS: Final = {"re": "are", "ve": "have", "ll": "will", "d": "would", "m": "am"}
# "Turn the lights off": the particle may be this many words behind.
_SEPARABLE: Final = frozenset({"turn", "switch", "shut", "get"})
_FARTHEST: Final = 4
_LONGEST_ELISION: Final = 2


def words_in(text: str) -> tuple[str, ...]:
    """The words in lower case, contractions written out, common phrases as one word; neither digits nor signs."""
    lowered = text.lower().replace("\u2019", "'")
    words: list[str] = (_ASCII_WORD if lowered.isascii() else _WORD).findall(lowered)
    if "'" in lowered or not _CONTRACTIONS.keys().isdisjoint(words):
        words = [part for word in words for part in _written_out(word)]
    return tuple(_with_phrases(words))


def _written_out(word: str) -> list[str]:
    """A word with an apostrophe as the words it stands for; a possessive is its owner."""
    if "'" not in word or word in _CONTRACTIONS:
        return _CONTRACTIONS.get(word, [word])
    if word.endswith("n't"):
        return [word[:-3], "not"]
    base, _, end = word.rpartition("'")
    if end in _ENDINGS:
        return [base, _ENDINGS[end]]
    # "l'arte": the article goes. "France's": what follows goes.
    return [end] if len(base) <= _LONGEST_ELISION < len(end) else [base.replace("'", "")]


def _with_phrases(words: list[str]) -> list[str]:
    merged: list[str] = []
    skip = False
    for place, word in enumerate(words):
        if skip:
            skip = False
            continue
        phrases = PHRASES.get(stem(word))
        if phrases is None:
            merged.append(word)
            continue
        following = words[place + 1] if place + 1 < len(words) else ""
        phrase = phrases.get(following)
        if phrase is None or _belongs_behind(words, place + 1):
            merged.append(_separated(word, phrases, words[place + 1 : place + 1 + _FARTHEST]))
            continue
        skip = True
        if phrase:
            merged.append(phrase)
    return merged


def _belongs_behind(words: list[str], place: int) -> bool:
    """Whether the word there begins a phrase of its own: in "what time zone", "time" does not belong to "what"."""
    return place + 1 < len(words) and words[place + 1] in PHRASES.get(stem(words[place]), {})


def _separated(verb: str, phrases: Mapping[str, str], following: list[str]) -> str:
    """What "turn" means in "turn the lights off"; the particle stays, as "off" is also an opposite of "on"."""
    if stem(verb) not in _SEPARABLE:
        return verb
    return next((phrases[word] for word in following if word in phrases), verb)
