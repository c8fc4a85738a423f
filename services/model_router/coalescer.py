"""When text that a model writes goes out: the first at once, the rest in pieces a little apart."""

from typing import Final


class Coalescer:
    """Collects text and says when it is due; knows no time but what it is told.

    A message costs the same for a word and for a page, and a reader cannot tell 25 ms apart: a burst of deltas
    becomes one message, slow deltas pass unchanged.
    """

    __slots__ = ("_interval", "_last", "_pending")

    def __init__(self, interval: float) -> None:
        """Pieces are at least `interval` seconds apart (0 or more); 0 merges only what arrives together."""
        self._interval: Final = interval
        self._pending: list[str] = []
        self._last: float | None = None

    def __repr__(self) -> str:
        return f"Coalescer({len(self._pending)} pending, last sent at {self._last})"

    def add(self, text: str) -> None:
        """Keep text until it is taken."""
        if text:
            self._pending.append(text)

    def due_in(self, now: float) -> float | None:
        """Seconds until what is pending should go out; 0 if it should now, None if nothing is pending."""
        if not self._pending:
            return None
        if self._last is None:
            return 0.0
        return max(0.0, self._last + self._interval - now)

    def take(self, now: float) -> str:
        """All that is pending, which counts as sent at `now`; empty if there is nothing."""
        if not self._pending:
            return ""
        text = "".join(self._pending)
        self._pending.clear()
        self._last = now
        return text
