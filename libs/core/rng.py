"""Randomness as a constructor argument: jitter, picks and samples are reproducible from a seed."""

import random
from typing import Protocol


class Rng(Protocol):
    """The part of `random.Random` that policies use."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def uniform(self, a: float, b: float) -> float:
        """A float in [a, b]."""
        ...

    def randrange(self, stop: int, /) -> int:
        """An integer in [0, stop)."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """A non-negative integer of `k` random bits."""
        ...


def new_rng(seed: int | None = None) -> random.Random:
    """A generator of its own; `None` seeds it from the operating system."""
    return random.Random(seed)  # noqa: S311 - jitter and picks; secrets come from os.urandom
