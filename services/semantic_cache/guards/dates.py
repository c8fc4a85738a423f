"""Days and months, and what is counted from today."""

from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.tables import grouped, words

_CALENDAR: Final = frozenset(
    stem(word)
    for word in words(
        """
        monday tuesday wednesday thursday friday saturday sunday january february april june july august september
        october november december yesterday tomorrow tonight weekend christmas easter thanksgiving halloween ramadan
        montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz mai juni juli oktober dezember
        gestern morgen lundi mardi mercredi jeudi vendredi samedi dimanche hier demain ayer mañana ieri domani ontem
        amanhã
        """
    )
)
_RELATIVE: Final = grouped(
    """
    next next following upcoming
    last last
    previous previous
    current current this
    today today tonight
    """
)


def differ(pair: Contrast) -> bool:
    """Whether the texts mean different days, months, or times relative to now."""
    one, other = pair.one, pair.other
    if not _CALENDAR.isdisjoint(pair.left) or not _CALENDAR.isdisjoint(pair.right):
        return True
    first, second = one.groups_of(_RELATIVE), other.groups_of(_RELATIVE)
    return bool(first - second) and bool(second - first)
