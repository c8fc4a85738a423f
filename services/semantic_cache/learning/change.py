"""Noticing that answers which used to be right are wrong now.

Page's CUSUM test (Page 1954, Continuous inspection schemes): the sum of log likelihood ratios between "every answer has
become wrong with probability `share`" and "the beliefs hold", never below zero. In a world that does not change the sum
falls with every outcome; a surprise where the model was sure raises it most.
"""

import math
from typing import Final

_SHARE: Final = 0.2
# Surer than this no outcome is taken to have been: a rare surprise alone must not be an alarm.
_SUREST: Final = 0.02
# If the beliefs hold, false alarms are at least e^6 = 400 outcomes apart on average (Lorden 1971), some 1,500 questions
# where three in four are served, and mostly far more. Three surprises close together reach it; from the second on
# audits are more frequent, so that a third comes soon.
_ALARM: Final = 6.0


class ChangeDetector:
    """Raises an alarm when outcomes are wrong where they were believed right."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._run = 0

    @property
    def run(self) -> int:
        """Outcomes since the sum was last zero: at an alarm, what came since the change, as far as one can tell."""
        return self._run

    @property
    def suspicion(self) -> float:
        """How near an alarm is, 0 to 1."""
        return min(1.0, self._sum / _ALARM)

    def observe(self, wrong: bool, p_wrong: float) -> bool:
        """Whether this outcome completes an alarm; `run` tells then since when, and the next sum begins at zero.

        Args:
            wrong: what turned out.
            p_wrong: what was believed, 0 to 1.
        """
        before = min(max(p_wrong, _SUREST), 1 - _SUREST)
        after = _SHARE + (1 - _SHARE) * before
        ratio = after / before if wrong else (1 - after) / (1 - before)
        self._run = self._run + 1 if self._sum else 1
        self._sum = max(0.0, self._sum + math.log(ratio))
        if self._sum < _ALARM:
            return False
        self._sum = 0.0
        return True

    def __repr__(self) -> str:
        return f"ChangeDetector(suspicion={self.suspicion:.2f})"
