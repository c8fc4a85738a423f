"""Answers that were right once: what an entry's and a group's own outcomes say beyond the model.

The model pools all outcomes of a tenant; an answer that went out of date, or a single bad entry, looks to it like any
other. So every group and every entry has a belief of its own: that its answer is one, that it is one for about half of
the questions that it used to answer, or that it is none any more. Outcomes move it by Bayes' rule: an outcome is wrong
with the model's probability, with one half, or nearly for certain. A wrong outcome where the model was sure weighs
much, one that it half expected weighs little.

After a change of the world every group that existed is in doubt. How much, is learned from the first outcomes of groups
since then (see `doubt`), and what is learned there also counts for a group that has an outcome or two of its own.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.semantic_cache.learning.doubt import Doubt

_WRONG_IF_PARTLY: Final = 0.5
_WRONG_IF_STALE: Final = 0.98
_LEAST: Final = 0.0001
# Some 350 bytes each.
_CAPACITY: Final = 2_500
# Of changed answers so many are still right for half of their questions.
_PARTLY_OF_CHANGED: Final = 3 / 7


@dataclass(frozen=True, slots=True)
class _Belief:
    partly: float
    """P(the answer is one for half of its questions)."""
    stale: float
    """P(it is none any more)."""

    @property
    def changed(self) -> float:
        """P(it is one or the other)."""
        return self.partly + self.stale

    @property
    def risk(self) -> float:
        """P(wrong) for its staleness alone."""
        return self.partly * _WRONG_IF_PARTLY + self.stale * _WRONG_IF_STALE

    def after(self, wrong: bool, p_wrong: float) -> "_Belief":
        """What is believed after an outcome that is wrong with `p_wrong` if the answer is one."""
        fresh = (1 - self.changed) * (p_wrong if wrong else 1 - p_wrong)
        partly = self.partly * (_WRONG_IF_PARTLY if wrong else 1 - _WRONG_IF_PARTLY)
        stale = self.stale * (_WRONG_IF_STALE if wrong else 1 - _WRONG_IF_STALE)
        total = fresh + partly + stale
        # Nothing is ever certain, or no outcome could change it again.
        return _Belief(_bounded(partly / total), _bounded(stale / total))

    def under(self, was: float, share: float) -> "_Belief":
        """The same evidence, had the doubt it began with been `share` and not the larger `was`."""
        factor = share * (1 - was) / (was * (1 - share))
        partly, stale = factor * self.partly, factor * self.stale
        total = 1 - self.changed + partly + stale
        return _Belief(max(partly / total, _USUAL.partly), max(stale / total, _USUAL.stale))


_USUAL: Final = _Belief(partly=0.0003, stale=0.0003)


class _Dated(NamedTuple):
    partly: float
    stale: float
    change: int
    """How many changes it has seen."""
    doubt: float
    """The share of changed answers that the belief began with; 0 if it began with its own past."""


class Staleness:
    """P(stale) of groups and entries, the most recently touched `capacity` of them."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._capacity: Final = capacity
        self._beliefs: OrderedDict[bytes, _Dated] = OrderedDict()
        self._changes = 0
        self._doubt: Final = Doubt()
        self._doubted = _USUAL

    def of_group(self, group: bytes) -> float:
        """P(an answer of this group is wrong because it is none any more), 0 to 1."""
        return self._of_group(group)[0].risk

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
        of_entry, (of_group, doubt) = self._of_entry(entry), self._of_group(group)
        wrong = fresh != group
        self._keep_entry(entry, of_entry.after(wrong, _either(of_group.risk, p_model)))
        belief = of_group.after(wrong, _either(of_entry.risk, p_model))
        if self._unconfirmed(self._beliefs.get(group)):
            self._doubt.observe(belief.changed if wrong else 0.0)
            self._doubted = _in_doubt(self._doubt.share)
        self._keep(group, belief, doubt)
        if wrong and fresh is not None:
            self._take_in_fresh(fresh)

    def change(self) -> None:
        """Something changed: every answer is in doubt until it is confirmed, or others of its kind are."""
        self._changes += 1
        self._doubt.begin()
        self._doubted = _in_doubt(self._doubt.share)

    def _take_in_fresh(self, group: bytes) -> None:
        """A fresh answer is an answer, whatever became of the group before; a group seen first now was not before."""
        belief, doubt = self._of_group(group) if group in self._beliefs else (_USUAL, 0.0)
        self._keep(group, belief.after(wrong=False, p_wrong=0.0), doubt)

    def _unconfirmed(self, dated: _Dated | None) -> bool:
        return (0 if dated is None else dated.change) != self._changes

    def _of_group(self, group: bytes) -> tuple[_Belief, float]:
        """The belief, and how much doubt it began with."""
        dated = self._beliefs.get(group)
        doubted, share = self._doubted, self._doubt.share
        belief = _USUAL if dated is None else _Belief(dated.partly, dated.stale)
        if self._unconfirmed(dated):
            return (doubted, share) if belief.changed < share else (belief, 0.0)
        if dated is None or dated.doubt <= share:
            return belief, 0.0 if dated is None else dated.doubt
        return belief.under(dated.doubt, share), share

    def _of_entry(self, entry: bytes) -> _Belief:
        dated = self._beliefs.get(entry)
        return _USUAL if dated is None else _Belief(dated.partly, dated.stale)

    def _keep_entry(self, entry: bytes, belief: _Belief) -> None:
        # Nearly all entries are above suspicion, and one that nothing is known of is so, too.
        if belief.risk > _USUAL.risk:
            self._keep(entry, belief, 0.0)
        else:
            self._beliefs.pop(entry, None)

    def _keep(self, key: bytes, belief: _Belief, doubt: float) -> None:
        self._beliefs[key] = _Dated(belief.partly, belief.stale, self._changes, doubt)
        self._beliefs.move_to_end(key)
        if len(self._beliefs) > self._capacity:
            self._beliefs.popitem(last=False)

    def __repr__(self) -> str:
        return f"Staleness({len(self._beliefs)}/{self._capacity}, {self._changes} changes, {self._doubt!r})"


def _in_doubt(share: float) -> _Belief:
    return _Belief(_PARTLY_OF_CHANGED * share, (1 - _PARTLY_OF_CHANGED) * share)


def _bounded(probability: float) -> float:
    return min(max(probability, _LEAST), 1 - 3 * _LEAST)


def _either(one: float, other: float) -> float:
    return 1 - (1 - one) * (1 - other)
