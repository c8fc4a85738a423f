"""Extent: all or some, only, the most, another."""

from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.tables import grouped, words
from services.semantic_cache.guards.question_type import kind

_EXTENTS: Final = grouped(
    """
    only only solely
    most most
    least least
    more more
    less less fewer
    too too
    both both
    other other another else
    always always
    again again
    first first
    last last latest
    next next following upcoming
    previous previous
    later later
    before before
    after after
    """
)
_ALL: Final = words("all every each everyone everybody everything any")


def differ(pair: Contrast) -> bool:
    """Whether one asks for all, the most, the only or another, and the other does not."""
    if not pair.same_content:
        return False
    if pair.one.groups_of(_EXTENTS) != pair.other.groups_of(_EXTENTS):
        return True
    # "Tell me all my reminders" is "tell me my reminders", but "do all birds fly" is not "do birds fly".
    quantified = _ALL.isdisjoint(pair.one.bag) != _ALL.isdisjoint(pair.other.bag)
    return quantified and "yes_no" in (kind(pair.one), kind(pair.other))
