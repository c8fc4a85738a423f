"""What the guards remember of texts for their speed must leave the memory when a user is erased."""

import gc

from services.semantic_cache.guards import Guard, forget_readings, refuse
from services.semantic_cache.guards.lexicon.lexeme import Lexeme
from services.semantic_cache.guards.reading import Reading


def _remembered() -> str:
    """All that lies about of texts that were taken apart."""
    gc.collect()
    return " ".join(repr(each) for each in gc.get_objects() if isinstance(each, (Reading, Lexeme)))


def test_no_text_is_left_and_no_word_of_it() -> None:
    # The second is one word to the guards: no spaces.
    refuse("Is Zyxwvuta at home?", "\u6771\u4eac\u306e\u4eba\u53e3\u306f")
    assert "zyxwvuta" in _remembered()
    forget_readings()
    left = _remembered()
    assert "zyxwvuta" not in left.lower()
    assert "\u6771\u4eac" not in left


def test_what_was_forgotten_is_judged_as_before() -> None:
    pair = "Name 5 rivers", "Name 6 rivers"
    before = refuse(*pair)
    forget_readings()
    assert refuse(*pair) is before is Guard.NUMBERS
