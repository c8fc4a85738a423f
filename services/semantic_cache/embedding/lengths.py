"""Texts of unlike lengths in one batch: which go through the model together, so that little of it is padding."""

from collections.abc import Sequence
from itertools import pairwise


def split_by_length(lengths: Sequence[int], overhead: int) -> list[list[int]]:
    """The cheapest way to part a batch, found exactly.

    Texts that go through the model together are padded to the longest of them, and every pass costs a fixed amount
    besides. Sorted by length, the cheapest groups are runs of neighbours (exchanging a long text of one group for a
    short one of another never makes either group wider), so the best cut before each text follows from the best cuts
    before the shorter ones: dynamic programming over n texts in O(n^2).

    Args:
        lengths: of each text, in tokens.
        overhead: what one more pass costs, in the time that so many padded tokens take; at least 0.

    Returns:
        Groups of positions in `lengths`, shortest texts first; every position is in exactly one group.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    # Of the cheapest way to do the first `count` texts: its cost and where its last group begins.
    costs, begins = [0], [0]
    for count in range(1, len(order) + 1):
        width = lengths[order[count - 1]]
        cost, begin = min((costs[begin] + overhead + (count - begin) * width, begin) for begin in range(count))
        costs.append(cost)
        begins.append(begin)
    return [order[begin:end] for begin, end in pairwise(_cuts(begins))]


def _cuts(begins: Sequence[int]) -> list[int]:
    cuts = [len(begins) - 1]
    while cuts[-1]:
        cuts.append(begins[cuts[-1]])
    return cuts[::-1]
