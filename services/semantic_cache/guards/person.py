"""Person: mine or yours, his or hers."""

from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.tables import grouped, words
from services.semantic_cache.guards.reading import Reading

_PERSONS: Final = grouped(
    """
    i i me my mine myself we us our ours
    you you your yours yourself
    he he him his himself
    she she her hers herself
    they they them their theirs
    """
)
_ASKED: Final = words("tell show give help explain please find check let get know say list for")
_REQUESTS: Final = words("can could would will do please")


def differ(pair: Contrast) -> bool:
    """Whether one asks about the asker, the other about the asked or a third person."""
    if not pair.same_content:
        return False
    first, second = _persons(pair.one), _persons(pair.other)
    return bool(first - second) and bool(second - first)


def _persons(reading: Reading) -> set[str]:
    """Who is meant, without the politeness around a request; "how do you" is "how do I"."""
    found: set[str] = set()
    generic = False
    for place, word in enumerate(reading.words):
        person = _PERSONS.get(word)
        if person is None:
            continue
        earlier, before = ("", "", *reading.words[max(0, place - 2) : place])[-2:]
        generic = generic or (person == "you" and earlier == "how")
        asked = person == "you" and (generic or (place == 1 and before in _REQUESTS))
        if not asked and before not in _ASKED:
            found.add(person)
    return found
