"""One form for the inflections of a word, so that "flights" and "flight" are one word."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_VOWELS: Final = frozenset("aeiouy")
# One vowel and one consonant behind it.
_SHORT: Final = re.compile(r"[^aeiou]*[aeiouy][^aeiouwxy]")
_KEPT_DOUBLE: Final = frozenset("lsz")
# Of the irregular verbs and plurals those that questions use.
_FORMS: Final = """
begin began begun, bear bore, beat beaten, become became, bite bit bitten, blow blew blown, break broke broken
bring brought, build built, buy bought, catch caught, choose chose chosen, come came, deal dealt, do did done does
draw drew drawn, drink drank drunk, drive drove driven, eat ate eaten, fall fell fallen, feel felt, fight fought
find found, fly flew flown flies, forget forgot forgotten, freeze froze frozen, get got gotten, give gave given
go went gone goes, grow grew grown, hear heard, hide hid hidden, hold held, keep kept, know knew known, lead led
leave left, lend lent, lose lost, make made, mean meant, meet met, pay paid, ride rode ridden, ring rang rung
rise rose risen, run ran, say said, see saw seen, sell sold, send sent, shake shook shaken, shoot shot, sing sang sung
sit sat, sleep slept, speak spoke spoken, spend spent, stand stood, steal stole stolen, stick stuck, swim swam swum
take took taken, teach taught, tell told, think thought, throw threw thrown, understand understood, wake woke woken
wear wore worn, win won, withdraw withdrew withdrawn, write wrote written, use used using uses, die died dying dies
lie lied lying, tie tied tying, child children, man men, woman women, foot feet, tooth teeth, mouse mice
person people persons
"""
_IRREGULAR: Final[Mapping[str, str]] = {
    form: entry.split()[0] for entry in _FORMS.strip().replace("\n", ",").split(",") for form in entry.split()[1:]
}


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """What the inflections of `word` have in common: not always a word itself, and only ever compared.

    A handful of suffix rules in the manner of Porter's first step (Porter 1980, "An algorithm for suffix stripping"),
    which leaves "-er", "-est" and all that changes a meaning alone.

    Args:
        word: casefolded.
    """
    word = _IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii():
        return word
    bare = _without_ending(_singular(word))
    if bare.endswith("ie"):
        return bare[:-2] + "y"
    # "Change" and "changing", "cancelled" and "canceled"; but "plan" is not "plane".
    if bare.endswith("e") and len(bare) > 3:
        return bare if _SHORT.fullmatch(bare, 0, len(bare) - 1) else bare[:-1]
    return bare[:-1] if len(bare) > 5 and bare.endswith("ll") else bare


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    return word if not word.endswith("s") or word.endswith(("ss", "us", "is")) else word[:-1]


def _without_ending(word: str) -> str:
    if word.endswith("ied"):
        return word[:-3] + "y"
    if word.endswith("ly"):
        return word[:-2] if len(word) > 6 else word
    ending = 3 if word.endswith("ing") else 2 if word.endswith("ed") and not word.endswith("eed") else 0
    rest = word[: len(word) - ending]
    if not ending or len(rest) < 3 or _VOWELS.isdisjoint(rest):
        return word
    if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in _KEPT_DOUBLE:
        return rest[:-1]
    # "Hating" comes from "hate"; were it from "hat", the "t" would be double.
    return rest + "e" if _SHORT.fullmatch(rest) else rest


def misspelt(one: str, other: str) -> bool:
    """Whether the words are one typing slip apart: a letter too many, missing, wrong, or two exchanged.

    Short words and first letters are held to be meant: "iran" is no slip of "iraq", nor "gambia" of "zambia".
    """
    if one[:1] != other[:1] or min(len(one), len(other)) < 5 or abs(len(one) - len(other)) > 1:
        return False
    if len(one) > len(other):
        one, other = other, one
    same = next((place for place, letter in enumerate(one) if letter != other[place]), len(one))
    if len(one) < len(other):
        return one[same:] == other[same + 1 :]
    swapped = one[same + 1 : same + 2] + one[same : same + 1] + one[same + 2 :]
    return one[same + 1 :] == other[same + 1 :] or swapped == other[same:]
