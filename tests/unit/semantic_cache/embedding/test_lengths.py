from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.embedding.lengths import split_by_length


def cost(groups: Sequence[Sequence[int]], lengths: Sequence[int], overhead: int) -> int:
    return sum(overhead + len(group) * max(lengths[position] for position in group) for group in groups)


def partitions(positions: list[int]) -> list[list[list[int]]]:
    """All ways to part a few positions into groups."""
    if not positions:
        return [[]]
    first, rest = positions[0], partitions(positions[1:])
    alone = [[[first], *groups] for groups in rest]
    joined = [
        [*groups[:index], [first, *groups[index]], *groups[index + 1 :]]
        for groups in rest
        for index in range(len(groups))
    ]
    return alone + joined


@given(st.lists(st.integers(1, 40), max_size=6), st.integers(0, 60))
def test_no_other_way_is_cheaper(lengths: list[int], overhead: int) -> None:
    groups = split_by_length(lengths, overhead)
    assert sorted(position for group in groups for position in group) == list(range(len(lengths)))
    best = min(cost(way, lengths, overhead) for way in partitions(list(range(len(lengths)))))
    assert cost(groups, lengths, overhead) == best


def test_like_lengths_stay_together_and_unlike_ones_part() -> None:
    assert split_by_length([5, 200, 6, 190], overhead=16) == [[0, 2], [3, 1]]


def test_where_a_pass_is_dear_all_go_at_once() -> None:
    assert split_by_length([5, 20, 6, 19], overhead=4096) == [[0, 2, 3, 1]]
