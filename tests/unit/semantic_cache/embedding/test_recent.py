import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.embedding.recent import RecentTexts
from services.semantic_cache.ports import Embedded

EMBEDDED = Embedded(np.ones(8, np.float32), True)
ROOM_FOR_TWO = 2 * (400 + 8 * 4 + 10)


def test_the_least_recently_used_goes_first() -> None:
    recent = RecentTexts(ROOM_FOR_TWO)
    for text in ("one", "two"):
        recent.keep(text, EMBEDDED)
    assert recent.get("one") is EMBEDDED
    recent.keep("three", EMBEDDED)
    assert [recent.get(text) is not None for text in ("one", "two", "three")] == [True, False, True]


def test_what_is_larger_than_all_the_room_is_not_kept_and_drives_nothing_out() -> None:
    recent = RecentTexts(ROOM_FOR_TWO)
    recent.keep("small", EMBEDDED)
    recent.keep("large" * 1000, EMBEDDED)
    assert recent.get("large" * 1000) is None
    assert recent.get("small") is EMBEDDED


def test_half_a_character_is_kept_like_any_text() -> None:
    recent = RecentTexts(ROOM_FOR_TWO)
    recent.keep("\ud800", EMBEDDED)
    assert recent.get("\ud800") is EMBEDDED


def test_what_is_forgotten_takes_no_room() -> None:
    recent = RecentTexts(ROOM_FOR_TWO)
    recent.keep("one", EMBEDDED)
    recent.forget()
    assert (recent.get("one"), len(recent), recent.size) == (None, 0, 0)


def test_no_room_keeps_nothing() -> None:
    recent = RecentTexts(0)
    recent.keep("text", EMBEDDED)
    assert len(recent) == 0


def test_less_than_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        RecentTexts(-1)


@given(st.lists(st.text(max_size=200), max_size=60), st.integers(0, 5_000))
def test_the_bytes_of_what_is_kept_stay_below_the_capacity(texts: list[str], capacity: int) -> None:
    recent = RecentTexts(capacity)
    for text in texts:
        recent.keep(text, EMBEDDED)
        kept = [each for each in dict.fromkeys(texts) if recent.get(each) is not None]
        assert sum(len(each.encode()) + EMBEDDED.vector.nbytes for each in kept) <= recent.size <= capacity
