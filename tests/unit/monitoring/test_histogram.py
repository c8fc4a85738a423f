import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitoring.histogram import HIGHEST_MS, LOWEST_MS, Histogram

durations = st.lists(st.floats(LOWEST_MS, HIGHEST_MS), min_size=1, max_size=200)
shares = st.floats(0, 1)


def exact_quantile(values: list[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


def counted(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(durations, shares)
def test_a_quantile_is_within_five_percent_of_the_exact_one(values: list[float], q: float) -> None:
    assert counted(values).quantile(q) == pytest.approx(exact_quantile(values, q), rel=0.05)


@given(durations, durations, shares)
def test_merging_is_the_same_as_counting_together(one: list[float], other: list[float], q: float) -> None:
    merged = counted(one)
    merged.merge(counted(other))

    assert merged == counted(one + other)
    assert merged.quantile(q) == counted(one + other).quantile(q)


def test_nothing_counted_has_no_duration() -> None:
    assert Histogram().quantile(0.99) == 0.0


def test_durations_beyond_either_end_count_as_the_end() -> None:
    assert counted([0.0]).quantile(0.5) == pytest.approx(LOWEST_MS, rel=0.05)
    assert counted([math.inf]).quantile(0.5) == pytest.approx(HIGHEST_MS, rel=0.05)


@pytest.mark.parametrize("q", [-0.1, 1.1])
def test_a_quantile_outside_zero_to_one_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        counted([1.0]).quantile(q)
