"""What kind of answer a question asks for: a person, a place, a time, a reason, a yes."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.function_words import FUNCTION_WORDS
from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.synonyms import meaning
from services.semantic_cache.guards.lexicon.tables import grouped, translated, words
from services.semantic_cache.guards.reading import Reading

# The first word of a line names the kind.
_ASKING: Final[Mapping[str, str]] = grouped(
    """
    who whom wer wen wem qui quién chi quem
    whose
    when wann quand cuándo quando
    where wo où dónde dove onde
    why warum wieso pourquoi perché
    how wie comment cómo
    what which
    how_many combien cuánto cuántos quanto quanti
    how_long
    how_often
    how_far
    how_old
    how_tall
    how_big
    how_fast
    how_deep
    how_heavy
    how_wide
    """
)
_YES_NO: Final = words("is are am was were do does did can could should would will shall may might must has have had")
_REQUESTS: Final = words("can could would will")
_GREETINGS: Final = words("please kindly hi hello hey ok okay well so and also thanks")
_SPANS: Final = words("time longer minutes hours days weeks months")
_WAYS: Final = words("way ways steps")
# "What should I do to".
_DOING: Final = frozenset(
    (verb, person) for verb in ("do", "should", "must", "can", "could") for person in ("i", "you", "we")
)
# Asked in either way for the same: "how long until" and "when will"; "is it hard" and "how hard is it".
_KIN: Final = frozenset(
    frozenset(pair) for pair in (("when", "how_long"), ("yes_no", "degree"), ("what", "degree"), ("how", "degree"))
)
# "What is the height" and "how tall": the noun or the adjective says it.
_NOUNS: Final = {
    kind: meaning(stem(noun))
    for kind, noun in translated(
        """
        how_tall=height, how_old=age, how_far=distance, how_big=size, how_fast=speed, how_deep=depth, how_heavy=weight
        how_wide=width, how_many=price, when=time, where=place, why=reason
        """
    ).items()
}
_FINDING: Final = frozenset({"how", "where"})
_FINDING_OUT: Final = words("find know see check tell learn")
_FARTHEST: Final = 6
_FOUND: Final = frozenset({"find", "get"})
_OPEN: Final = frozenset({"what", "yes_no"})


def differ(pair: Contrast) -> bool:
    """Whether the answers are of different kinds.

    Two definite kinds (who, when, why, how many ...) always differ. "What" and a question for yes or no can ask for
    anything, so they differ from other kinds only if the rest of the texts is the same; a request differs from none.
    """
    first, second = kind(pair.one), kind(pair.other)
    if first == second or not first or not second:
        return False
    kinds = frozenset((first, second))
    if kinds in _KIN or (kinds == _FINDING and _finds(pair)):
        return False
    if kinds.isdisjoint(_OPEN):
        return True
    return pair.same_content and not any(_NOUNS.get(each) in pair.one.meanings for each in kinds)


def kind(reading: Reading) -> str:
    """The kind of the main question; empty for a request or a statement."""
    spoken = reading.words
    while spoken and spoken[0] in _GREETINGS:
        spoken = spoken[1:]
    if spoken[:3] == ("do", "you", "know"):
        spoken = spoken[3:]
    for place, word in enumerate(spoken):
        if word in _ASKING and not _finds_out(spoken, place):
            return _exactly(_ASKING[word], spoken[place + 1 : place + 5], reading)
        if word not in FUNCTION_WORDS and word not in _FINDING_OUT:
            break
    opening = spoken[0] if spoken else ""
    requests = opening in _REQUESTS and spoken[1:2] == ("you",)
    if opening not in _YES_NO or requests:
        return ""
    # "Do I have any meetings" asks which.
    return "what" if "any" in reading.bag else "yes_no"


def _finds_out(spoken: tuple[str, ...], place: int) -> bool:
    """Whether the question there only asks how to find out the next: "how do I find out when it is due"."""
    return any(
        after in _ASKING and before in _FINDING_OUT for before, after in pairwise(spoken[place + 1 : place + _FARTHEST])
    )


def _exactly(asked: str, following: tuple[str, ...], reading: Reading) -> str:
    """What is really asked: "how many days" is "how long", "what is the way" is "how", "how hard" asks for a degree."""
    if asked == "what":
        if "like" in reading.bag:
            return "degree"
        doing = following[:2] in _DOING and "do" in following[2:]
        return "how" if doing or not _WAYS.isdisjoint(reading.bag) else asked
    if asked == "how_many" and not _SPANS.isdisjoint(following[:3]):
        return "how_long"
    if asked == "how" and following and following[0] not in _YES_NO and following[0] not in FUNCTION_WORDS:
        return "degree"
    return asked


def _finds(pair: Contrast) -> bool:
    return not _FOUND.isdisjoint(pair.one.meanings) and not _FOUND.isdisjoint(pair.other.meanings)
