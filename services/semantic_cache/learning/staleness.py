"""Answers that were right once: what an entry's and a group's own outcomes say beyond the model.

The model pools all outcomes of a tenant; an answer that went out of date, or a single bad entry, looks to it like any
other. So every group and every entry has a belief of its own: that its answer is one, that it is one for about half of
the questions that it used to answer, or that it is none any more. Outcomes move it by Bayes' rule: an outcome is wrong
with the model's probability, with one half, or nearly for certain. A wrong outcome where the model was sure weighs
much, one that it half expected weighs little.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

_WRONG_IF_PARTLY: Final = 0.5
_WRONG_IF_STALE: Final = 0.98
_LEAST: Final = 0.0001
_CAPACITY: Final = 20_000


@dataclass(frozen=True, slots=True)
class _Belief:
    partly: float
    """P(the answer is one for half of its questions)."""
    stale: float
    """P(it is none any more)."""

    @property
    def risk(self) -> float:
        """P(wrong) for its staleness alone."""
        return self.partly * _WRONG_IF_PARTLY + self.stale * _WRONG_IF_STALE

    def after(self, wrong: bool, p_wrong: float) -> "_Belief":
        """What is believed after an outcome that is wrong with `p_wrong` if the answer is one."""
        fresh = (1 - self.partly - self.stale) * (p_wrong if wrong else 1 - p_wrong)
        partly = self.partly * (_WRONG_IF_PARTLY if wrong else 1 - _WRONG_IF_PARTLY)
        stale = self.stale * (_WRONG_IF_STALE if wrong else 1 - _WRONG_IF_STALE)
        total = fresh + partly + stale
        # Nothing is ever certain, or no outcome could change it again.
        return _Belief(_bounded(partly / total), _bounded(stale / total))

    def doubted(self) -> "_Belief":
        """What is believed after something changed, until the answer is confirmed."""
        return self if self.partly + self.stale > _UNCONFIRMED.partly + _UNCONFIRMED.stale else _UNCONFIRMED


_USUAL: Final = _Belief(partly=0.0003, stale=0.0003)
_UNCONFIRMED: Final = _Belief(partly=0.15, stale=0.2)


@dataclass(frozen=True, slots=True)
class _Dated:
    belief: _Belief
    change: int
    """How many changes it has seen."""


class Staleness:
    """P(stale) of groups and entries, the most recently touched `capacity` of them."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._capacity: Final = capacity
        self._beliefs: OrderedDict[bytes, _Dated] = OrderedDict()
        self._changes = 0

    def of_group(self, group: bytes) -> float:
        """P(an answer of this group is wrong because it is none any more), 0 to 1."""
        return self._of_group(group).risk

    def of_entry(self, entry: bytes) -> float:
        """The same of one entry. A change of the world is its group's matter."""
        return self._of_entry(entry).risk

    def observe(self, entry: bytes, group: bytes, fresh: bytes | None, p_model: float) -> None:
        """Take one outcome in.

        Args:
            entry: whose answer it was.
            group: the entry's.
            fresh: the group of the answer that was right; None if only that this one was wrong is known.
            p_model: P(wrong) by the model alone, 0 to 1.
        """
        of_entry, of_group = self._of_entry(entry), self._of_group(group)
        wrong = fresh != group
        self._keep(entry, of_entry.after(wrong, _either(of_group.risk, p_model)))
        self._keep(group, of_group.after(wrong, _either(of_entry.risk, p_model)))
        if wrong and fresh is not None:
            # A fresh answer is an answer, whatever became of the group before.
            self._keep(fresh, self._of_group(fresh).after(wrong=False, p_wrong=0.0))

    def change(self) -> None:
        """Something changed: every answer is in doubt until it is confirmed."""
        self._changes += 1

    def _of_group(self, group: bytes) -> _Belief:
        dated = self._beliefs.get(group)
        belief = _USUAL if dated is None else dated.belief
        seen = 0 if dated is None else dated.change
        return belief if seen == self._changes else belief.doubted()

    def _of_entry(self, entry: bytes) -> _Belief:
        dated = self._beliefs.get(entry)
        return _USUAL if dated is None else dated.belief

    def _keep(self, key: bytes, belief: _Belief) -> None:
        self._beliefs[key] = _Dated(belief, self._changes)
        self._beliefs.move_to_end(key)
        if len(self._beliefs) > self._capacity:
            self._beliefs.popitem(last=False)

    def __repr__(self) -> str:
        return f"Staleness({len(self._beliefs)}/{self._capacity}, {self._changes} changes)"


def _bounded(probability: float) -> float:
    return min(max(probability, _LEAST), 1 - 3 * _LEAST)


def _either(one: float, other: float) -> float:
    return 1 - (1 - one) * (1 - other)
