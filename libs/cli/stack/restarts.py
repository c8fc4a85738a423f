"""When a process that ended is started again: later each time it does not last."""

from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import Final

from libs.core.clock import Clock

_FIRST_SECONDS: Final = 1.0
_MOST_SECONDS: Final = 30.0
_LASTING_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Record:
    streak: int = 0
    """Ends since it last served for a minute."""
    serving_since: float = inf
    due_at: float | None = None
    """When it is to be started; None while it runs."""


class Restarts:
    """Delays of 1 s, doubled with every end up to 30 s, and 1 s again once a process has served for a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._records: Final[dict[str, _Record]] = {}
        self.counts: Final[Counter[str]] = Counter()
        """How often each process was started again."""

    def served(self, name: str, serving: bool) -> None:
        """Tell whether a process that runs serves at the moment."""
        record = self._records.setdefault(name, _Record())
        now = self._clock.monotonic()
        record.serving_since = min(record.serving_since, now) if serving else inf
        if now - record.serving_since >= _LASTING_SECONDS:
            record.streak = 0

    def due(self, name: str) -> bool:
        """Whether a process that has ended is to be started now; if so, that is counted."""
        record = self._records.setdefault(name, _Record())
        now = self._clock.monotonic()
        if record.due_at is None:
            record.due_at = now + min(_FIRST_SECONDS * 2**record.streak, _MOST_SECONDS)
            record.streak = min(record.streak + 1, 10)
        if now < record.due_at:
            return False
        record.due_at, record.serving_since = None, inf
        self.counts[name] += 1
        return True

    def __repr__(self) -> str:
        return f"Restarts({dict(self.counts)})"
