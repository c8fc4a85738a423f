"""What grants promise to limits, and to whoever revokes a key: nothing beyond the grant, nothing after its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.testing.clock import ManualClock
from services.conversation.grants import MOST_WANTED, Grants, GrantsStatistics

KEY = "key"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("advance"), st.floats(0, 0.5)),
            st.tuples(st.just("put"), st.integers(0, 100)),
            st.tuples(st.just("take"), st.none()),
        ),
        max_size=100,
    )
)
def test_nothing_is_handed_out_beyond_the_grant_or_after_its_end(steps: list[tuple[str, float | int | None]]) -> None:
    clock = ManualClock()
    grants: Grants[str] = Grants(clock)
    left, until = 0, 0.0
    for step, number in steps:
        if step == "advance":
            clock.advance(float(number or 0))
        elif step == "put":
            grants.put(KEY, "ada", int(number or 0), 0.2)
            left, until = max(0, int(number or 0) - 1), clock.monotonic() + 0.2
        else:
            may = left > 0 and clock.monotonic() < until
            assert grants.take(KEY) == ("ada" if may else None)
            left -= may


@given(st.lists(st.floats(0, 1.5), min_size=1, max_size=60), st.integers(0, 3))
def test_fewer_than_ten_calls_a_second_always_ask_for_themselves_alone(gaps: list[float], extra: int) -> None:
    clock = ManualClock()
    grants: Grants[str] = Grants(clock)
    calls: list[float] = []
    for gap in gaps:
        clock.advance(gap)
        if sum(clock.monotonic() - at < 1.0 + 1e-9 for at in calls) >= 9:
            clock.advance(1.0)
        assert grants.take(KEY) is None
        assert grants.wanted(KEY, 0) == 1
        assert grants.wanted(KEY, extra) == 1 + extra
        grants.put(KEY, "ada", 1, 0.2)
        calls.append(clock.monotonic())


@pytest.mark.parametrize(("per_second", "fraction"), [(50, 0.25), (200, 0.06), (500, 0.04)])
def test_a_steady_caller_asks_about_ten_times_a_second(per_second: int, fraction: float) -> None:
    clock = ManualClock()
    grants: Grants[str] = Grants(clock)
    asked = 0
    for call in range(per_second * 4):
        if call == per_second * 2:
            asked = 0
        clock.advance(1 / per_second)
        if grants.take(KEY) is None:
            asked += 1
            grants.put(KEY, "ada", grants.wanted(KEY, 0), 0.2)
    assert asked <= fraction * per_second * 2
    found = grants.statistics()
    # What is asked for is used: at a steady pace no grant ends before it is used up.
    assert found.granted - found.taken <= MOST_WANTED


def test_who_waits_is_asked_for_too_up_to_a_bound() -> None:
    grants: Grants[str] = Grants(ManualClock())
    assert grants.wanted(KEY, 5) == 6
    assert grants.wanted(KEY, 500) == MOST_WANTED


def test_who_falls_silent_is_quiet_again() -> None:
    clock = ManualClock()
    grants: Grants[str] = Grants(clock)
    for _ in range(500):
        clock.advance(0.002)
        grants.put(KEY, "ada", 1, 0.2)
    assert grants.wanted(KEY, 0) > 40
    clock.advance(2)
    assert grants.wanted(KEY, 0) == 1


def test_a_grant_without_time_is_none() -> None:
    grants: Grants[str] = Grants(ManualClock())
    for seconds in (0.0, -1.0):
        grants.put(KEY, "ada", 10, seconds)
        assert grants.take(KEY) is None


def test_a_dropped_key_has_nothing_left() -> None:
    grants: Grants[str] = Grants(ManualClock())
    grants.put(KEY, "ada", 10, 0.2)
    grants.drop(KEY)
    grants.drop(KEY)
    assert grants.take(KEY) is None


def test_the_least_recently_used_key_is_forgotten() -> None:
    grants: Grants[str] = Grants(ManualClock(), capacity=2)
    for key in ("a", "b"):
        grants.put(key, key, 3, 0.2)
    assert grants.take("a") == "a"
    grants.put("c", "c", 3, 0.2)
    assert [grants.take(key) for key in ("a", "b", "c")] == ["a", None, "c"]
    assert grants.statistics() == GrantsStatistics(keys=2, granted=6, taken=3)
    assert repr(grants) == "Grants(2/2, granted=6, taken=3)"
    with pytest.raises(ValueError, match="at least 1"):
        Grants(ManualClock(), capacity=0)
