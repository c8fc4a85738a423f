"""The outcomes that a learner still learns from, in 87 bytes each."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.learning.features import SIZE
from services.semantic_cache.learning.outcome import Outcome, Source

Lines: TypeAlias = NDArray[np.void]
"""Outcomes, with the fields of `_LINE`."""

_LINE: Final = np.dtype(
    [
        # Half precision, as in the log.
        ("features", "<f2", (SIZE,)),
        ("entry", "V20"),
        ("group", "V8"),
        ("p_wrong", "<f4"),
        ("propensity", "<f4"),
        ("blame", "<f4"),
        ("number", "<i8"),
        ("wrong", "?"),
        ("audit", "?"),
        ("telling", "?"),
    ]
)
_FIRST: Final = 64


class Window:
    """The last `capacity` outcomes. Grows with what it holds, and never beyond."""

    def __init__(self, capacity: int) -> None:
        self._capacity: Final = capacity
        self._lines: Lines = np.zeros(min(capacity, _FIRST), _LINE)
        self._taken = 0

    def __len__(self) -> int:
        return min(self._taken, self._capacity)

    def append(self, outcome: Outcome, blame: float, number: int) -> None:
        """Take one in; the oldest gives way.

        Args:
            outcome: what turned out.
            blame: what share of it says something about the model, 0 to 1.
            number: counts the outcomes up.
        """
        if self._taken == len(self._lines) < self._capacity:
            more = min(self._taken, self._capacity - self._taken)
            self._lines = np.concatenate((self._lines, np.zeros(more, _LINE)))
        self._lines[self._taken % self._capacity] = (
            outcome.features,
            outcome.entry,
            outcome.group,
            outcome.p_wrong,
            outcome.propensity,
            blame,
            number,
            outcome.wrong,
            outcome.source is Source.AUDIT,
            True,
        )
        self._taken += 1

    def silence(self, since: int) -> None:
        """Those with a greater number than `since` are not telling: whose doing a wrong answer was is lost."""
        self._lines["telling"] &= self._lines["number"] <= since

    def lines(self) -> Lines:
        """A copy, the oldest first."""
        lines: Lines = np.roll(
            self._lines[: len(self)], -(self._taken % self._capacity) if self._taken > self._capacity else 0
        )
        return lines

    def __repr__(self) -> str:
        return f"Window({len(self)}/{self._capacity})"
