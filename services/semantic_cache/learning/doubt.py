"""How far answers are doubted that were not confirmed since something changed.

A change, or a false alarm, says nothing of how many answers it concerns; the first outcome of each group since then
does. Their share is a beta posterior whose counts fade, so that it tells of the groups that turn up now: long after a
change the groups that are still unknown are mostly new ones, and after a false alarm nearly all are confirmed.
"""

from typing import Final

# Half a change's groups, rather fewer: as good as no opinion, and given up after a handful of groups.
_PRIOR_SHARE: Final = 0.35
_PRIOR_COUNT: Final = 5.0
# Groups after which one counts 1 / e. Of so many a share of one in fifty still shows.
_MEMORY: Final = 100.0


class Doubt:
    """The share of unconfirmed groups whose answer is none any more."""

    def __init__(self) -> None:
        self._changed = 0.0
        self._count = 0.0

    @property
    def share(self) -> float:
        """0 to 1; 0 before the first change."""
        return self._changed / self._count if self._count else 0.0

    def begin(self) -> None:
        """Something changed, and nothing is known of it yet."""
        self._count = _PRIOR_COUNT
        self._changed = _PRIOR_COUNT * _PRIOR_SHARE

    def observe(self, changed: float) -> None:
        """Take in the first outcome of a group since the change.

        Args:
            changed: how likely this group's answer is none any more, 0 to 1.
        """
        kept = 1 - 1 / _MEMORY
        self._changed = kept * self._changed + changed
        self._count = kept * self._count + 1

    def __repr__(self) -> str:
        return f"Doubt({self.share:.3f})"
