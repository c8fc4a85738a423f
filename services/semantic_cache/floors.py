"""What was invalidated, as far as this replica has heard: what its memory may still give out.

The store checks every entry it gives out, but memory is asked without the store. So memory is trusted only while this
replica hears what is invalidated: it asks many times a second, and as long as its last question that was answered is
younger than `trust_seconds` it knows all that was announced before. Whoever invalidates waits for as long before
saying so. Hence after an acknowledged invalidation no replica gives out what was invalidated, however slow or cut off
it is, which is the argument of Gray and Cheriton, "Leases", SOSP 1989.
"""

from collections.abc import Iterable
from typing import Final

from libs.core.clock import Clock
from services.semantic_cache.entry import Kept
from services.semantic_cache.ports import Announcement
from services.semantic_cache.scope import Key

# More than this and everything of the tenant counts as invalidated: misses, where a growing table would be worse.
_MOST_MARKS: Final = 10_000
_EVERYTHING: Final = b""


class Floors:
    """The latest invalidation of each mark, by tenant.

    Args:
        clock: its monotonic time tells how old the last word is.
        trust_seconds: how long a word is good for.
    """

    def __init__(self, clock: Clock, trust_seconds: float) -> None:
        if not trust_seconds > 0:
            raise ValueError(f"trust_seconds must be positive, got {trust_seconds}")
        self.trust_seconds: Final = trust_seconds
        self._clock: Final = clock
        self._heard_at = float("-inf")
        self._tenants: dict[str, dict[bytes, int]] = {}

    @property
    def trusted(self) -> bool:
        """Whether memory may be asked now."""
        return self._clock.monotonic() - self._heard_at < self.trust_seconds

    def hear(self, announcements: Iterable[Announcement], asked_at: float) -> None:
        """Take in what was announced up to `asked_at`, the monotonic time at which the question was sent."""
        for announcement in announcements:
            self._raise(announcement)
        self._heard_at = max(self._heard_at, asked_at)

    def allows(self, question: Key, kept: Kept) -> bool:
        """Whether what was kept may be given out for `question`.

        That is: neither the question, nor the entry, nor anything it is marked with was invalidated since its making
        began. A question is invalidated by whoever found its answer wrong: whatever was kept by then is not for it.
        """
        floors = self._tenants.get(question.tenant_id)
        if floors is None:
            return True
        asked_at, alias = kept.entry.asked_at, kept.alias
        if floors.get(_EVERYTHING, -1) > asked_at or floors.get(question.entry, -1) > asked_at:
            return False
        if alias is not None and floors.get(alias.target, -1) > asked_at:
            return False
        return all(floors.get(mark, -1) <= asked_at for mark in kept.entry.marks)

    def forget(self, before: int) -> None:
        """Drop what was invalidated before then (microseconds): whatever it concerned has expired."""
        for tenant_id, floors in list(self._tenants.items()):
            for mark in [mark for mark, at in floors.items() if at < before]:
                del floors[mark]
            if not floors:
                del self._tenants[tenant_id]

    def _raise(self, announcement: Announcement) -> None:
        floors = self._tenants.setdefault(announcement.tenant_id, {})
        if announcement.mark == _EVERYTHING or len(floors) >= _MOST_MARKS:
            # All that was invalidated one by one is older, so it is in this.
            at = max([announcement.at, *floors.values()])
            floors.clear()
            floors[_EVERYTHING] = at
        else:
            floors[announcement.mark] = max(announcement.at, floors.get(announcement.mark, -1))

    def __repr__(self) -> str:
        marks = sum(map(len, self._tenants.values()))
        return f"Floors({len(self._tenants)} tenants, {marks} marks, trusted={self.trusted})"
