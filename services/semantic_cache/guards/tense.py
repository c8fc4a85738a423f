"""Tense and mode: what was, is or will be; what may or must be."""

from collections.abc import Mapping
from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.tables import grouped
from services.semantic_cache.guards.question_type import kind

_TENSES: Final = grouped(
    """
    past was were did had
    present is are am do does
    future will shall going_to
    """
)
_PAST: Final = "past"
_MODES: Final = grouped(
    """
    can can could may possible able allowed
    must must required necessary should ought
    might might
    """
)


def differ(pair: Contrast) -> bool:
    """Whether one asks for what is, the other for what was or will be; or for what may, should or must be."""
    if not pair.same_content:
        return False
    tenses = _apart(_TENSES, pair)
    # "When will I be paid" is "when am I paid", but "will it rain" is not "is it raining".
    if tenses and (_PAST in tenses or "yes_no" in (kind(pair.one), kind(pair.other))):
        return True
    return bool(_apart(_MODES, pair)) and kind(pair.one) == kind(pair.other) != ""


def _apart(groups: Mapping[str, str], pair: Contrast) -> set[str]:
    """The groups that are found, if both sides have some and none in common."""
    first, second = pair.one.groups_of(groups), pair.other.groups_of(groups)
    return first | second if first and second and first.isdisjoint(second) else set()
