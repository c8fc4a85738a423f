"""GCRA in virtual time, against what a rate limit means to its user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.limits import TICKS_PER_SECOND, Gcra, admit, capacity, ticks

rates = st.integers(1, 100_000_000)
bursts = st.integers(1, 60)
aheads = st.integers(-TICKS_PER_SECOND, 20 * TICKS_PER_SECOND)
gaps = st.lists(st.integers(0, 5 * TICKS_PER_SECOND), min_size=1, max_size=200)


@given(rates.filter(lambda rate: rate <= 1_000), bursts)
def test_after_a_pause_exactly_the_burst_passes(per_minute: int, burst_seconds: int) -> None:
    limit, tat, now = Gcra.of(per_minute, burst_seconds), 0, ticks(1_800_000_000_000_000)
    for _ in range(capacity(per_minute, burst_seconds)):
        assert limit.wait(tat, now) == 0
        tat = limit.advance(tat, now)
    assert limit.wait(tat, now) == limit.interval


@given(rates, bursts, gaps)
def test_no_window_ever_admits_more_than_the_burst_and_the_rate(
    per_minute: int, burst_seconds: int, gaps: list[int]
) -> None:
    limit, tat, now = Gcra.of(per_minute, burst_seconds), 0, 0
    passed: list[int] = []
    for gap in gaps:
        now += gap
        if limit.wait(tat, now) == 0:
            tat = limit.advance(tat, now)
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            span = passed[last] - passed[first]
            assert last - first + 1 <= limit.capacity + span * per_minute / (60 * TICKS_PER_SECOND) + 1e-6


@given(rates, bursts, gaps)
def test_whoever_waits_as_long_as_told_passes_and_not_a_tick_sooner(
    per_minute: int, burst_seconds: int, gaps: list[int]
) -> None:
    limit, tat, now = Gcra.of(per_minute, burst_seconds), 0, 0
    for gap in gaps:
        now += gap
        wait = limit.wait(tat, now)
        if wait:
            assert limit.wait(tat, now + wait - 1) == 1
            now += wait
        assert limit.wait(tat, now) == 0
        tat = limit.advance(tat, now)


@given(
    st.lists(st.tuples(rates, bursts, st.integers(0, 10**9)), min_size=1, max_size=3),
    st.integers(0, 10**9),
    st.integers(0, 100),
)
def test_a_refused_request_consumes_nothing_of_any_limit(
    given_: list[tuple[int, int, int]], now: int, wanted: int
) -> None:
    limits = [Gcra.of(rate, burst) for rate, burst, _ in given_]
    before = [tat for _, _, tat in given_]
    decided = admit(limits, before, now, wanted)
    if any(decided.waits):
        assert (list(decided.tats), decided.calls) == (before, 0)
    else:
        assert decided.calls >= 1
        assert all(new > old for new, old in zip(decided.tats, before, strict=True))


@given(st.lists(st.tuples(rates, bursts, aheads), min_size=1, max_size=3), st.integers(-1, 100))
def test_many_calls_at_once_are_what_single_ones_would_be_and_leave_as_many_to_others(
    given_: list[tuple[int, int, int]], wanted: int
) -> None:
    now = 10**9
    limits = [Gcra.of(rate, burst) for rate, burst, _ in given_]
    before = [now + ahead for _, _, ahead in given_]
    decided = admit(limits, before, now, wanted)
    one_by_one, single = 0, before
    while one_by_one < 250 and not any(admit(limits, single, now).waits):
        one_by_one, single = one_by_one + 1, list(admit(limits, single, now).tats)
        if one_by_one == decided.calls:
            assert single == list(decided.tats)
    room = min(limit.room(tat, now) for limit, tat in zip(limits, before, strict=True))
    assert min(room, 250) == one_by_one
    assert decided.calls == (0 if room == 0 else max(1, min(wanted, room // 2)))


def test_without_any_limit_all_that_is_wanted_passes() -> None:
    assert admit([], [], 0, 64).calls == 64


def test_a_limit_below_one_request_a_burst_lets_single_ones_pass() -> None:
    assert Gcra.of(1, 10) == Gcra(60 * TICKS_PER_SECOND, 1)


@pytest.mark.parametrize(("per_minute", "burst_seconds"), [(0, 10), (60, 0), (-1, 1)])
def test_nonsense_is_refused(per_minute: int, burst_seconds: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Gcra.of(per_minute, burst_seconds)
