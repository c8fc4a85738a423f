"""What a call's input is billed as: uncached, written to the prompt cache, read from it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InputUsage:
    """Input tokens of one call; the four add up to the whole prompt."""

    uncached: int
    written_5m: int = 0
    """Newly cached for five minutes."""
    written_1h: int = 0
    """Newly cached for an hour."""
    read: int = 0
    """Found in the cache."""

    @property
    def written(self) -> int:
        """Newly cached, whatever for how long."""
        return self.written_5m + self.written_1h

    @property
    def limited(self) -> int:
        """What counts against the limit of input tokens: all but what was read from the cache."""
        return self.uncached + self.written
