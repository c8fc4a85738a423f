"""Options of the benchmarks that must lie in a range."""

import argparse

from services.semantic_cache.learning.learner import LARGEST_ALPHA


def alpha(text: str) -> float:
    """The greatest share of wrong answers among served ones, in (0, 0.5]; for `type=` of an option.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LARGEST_ALPHA:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most {LARGEST_ALPHA}, got {text}")
    return value


def prompts(text: str) -> int:
    """How many questions are asked, at least 2; for `type=` of an option.

    Raises:
        argparse.ArgumentTypeError: it is no such number.
    """
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 2:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 2, got {text}")
    return value
