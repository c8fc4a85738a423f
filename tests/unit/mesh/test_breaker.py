import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.errors import Code
from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.breaker import Breaker, BreakerOptions, Outcome, State, classify
from libs.mesh.success_rate import SlidingCount, SuccessRate
from libs.testing.clock import ManualClock

OPTIONS = BreakerOptions(failures=3, backoff=Backoff(1.0, 8.0, jitter=0.0), probe_lease=5.0)


def opened(clock: ManualClock) -> Breaker:
    breaker = Breaker(OPTIONS, clock, new_rng(1))
    for _ in range(3):
        breaker.record(Outcome.FAILURE, clock.monotonic())
    return breaker


def test_opens_after_consecutive_failures_only() -> None:
    clock = ManualClock()
    breaker = Breaker(OPTIONS, clock, new_rng(1))
    for outcome in (Outcome.FAILURE, Outcome.FAILURE, Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL):
        breaker.record(outcome, clock.monotonic())
    assert breaker.statistics().state is State.CLOSED
    breaker.record(Outcome.FAILURE, clock.monotonic())
    breaker.record(Outcome.FAILURE, clock.monotonic())
    assert breaker.statistics().state is State.OPEN
    assert repr(breaker) == "<Breaker OPEN, 3 consecutive failures, 1 of 6 attempts succeeded, opened 1 times>"


def mixed(breaker: Breaker, clock: ManualClock, pattern: str, seconds: float = 0.0) -> None:
    """Record an outcome per letter, `+` or `-`, that far apart."""
    for letter in pattern:
        clock.advance(seconds)
        breaker.record(Outcome.SUCCESS if letter == "+" else Outcome.FAILURE, clock.monotonic())


def test_opens_when_too_few_attempts_succeed() -> None:
    clock = ManualClock()
    breaker = Breaker(BreakerOptions(), clock, new_rng(1))
    mixed(breaker, clock, "+++-" * 4 + "+++")
    assert breaker.statistics().state is State.CLOSED
    assert breaker.statistics().success_rate == 15 / 19
    mixed(breaker, clock, "-")
    assert breaker.statistics().state is State.OPEN
    assert repr(breaker) == "<Breaker OPEN, 1 consecutive failures, 15 of 20 attempts succeeded, opened 1 times>"


def test_stays_closed_while_enough_attempts_succeed() -> None:
    clock = ManualClock()
    breaker = Breaker(BreakerOptions(), clock, new_rng(1))
    mixed(breaker, clock, "++++-" * 100, seconds=0.01)
    assert breaker.statistics().state is State.CLOSED
    assert breaker.statistics().success_rate == 0.8


def test_attempts_before_the_window_do_not_count() -> None:
    clock = ManualClock()
    breaker = Breaker(BreakerOptions(window=30), clock, new_rng(1))
    mixed(breaker, clock, "+" * 1000)
    clock.advance(20.0)
    mixed(breaker, clock, "+-" * 10)
    assert breaker.statistics().state is State.CLOSED
    clock.advance(12.0)
    mixed(breaker, clock, "-")
    assert breaker.statistics().state is State.OPEN


def test_too_few_attempts_within_the_window_say_nothing() -> None:
    clock = ManualClock()
    breaker = Breaker(BreakerOptions(window=30, minimum_attempts=20), clock, new_rng(1))
    mixed(breaker, clock, "+-" * 50, seconds=1.6)
    assert breaker.statistics().state is State.CLOSED


def test_the_success_rate_can_be_left_out() -> None:
    clock = ManualClock()
    breaker = Breaker(BreakerOptions(success_rate=0.0), clock, new_rng(1))
    mixed(breaker, clock, "----+" * 20)
    assert breaker.statistics().state is State.CLOSED


def test_a_closed_breaker_starts_with_a_clean_record() -> None:
    clock = ManualClock()
    breaker = Breaker(BreakerOptions(backoff=Backoff(1.0, 8.0, jitter=0.0)), clock, new_rng(1))
    mixed(breaker, clock, "+++-" * 5)
    clock.advance(1.0)
    assert breaker.try_probe()
    mixed(breaker, clock, "+")
    assert breaker.statistics().attempts == 0
    mixed(breaker, clock, "-+++" * 4)
    assert breaker.statistics().state is State.CLOSED


def test_a_success_rate_tells_what_it_counts() -> None:
    rate = SuccessRate(30, ManualClock())
    rate.success()
    rate.failure()
    assert repr(rate) == "<SuccessRate 1 of 2>"
    rate.reset()
    assert rate.statistics().ratio == 1.0
    assert repr(SlidingCount(30, ManualClock())) == "<SlidingCount 0 in 30 s>"
    with pytest.raises(ValueError, match="window must be above 0"):
        SlidingCount(0, ManualClock())


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 40.0), st.sampled_from((Outcome.SUCCESS, Outcome.NEUTRAL)))))
def test_never_opens_without_a_failure(events: list[tuple[float, Outcome]]) -> None:
    clock = ManualClock()
    breaker = Breaker(BreakerOptions(failures=1, minimum_attempts=1, success_rate=1.0), clock, new_rng(1))
    for seconds, outcome in events:
        clock.advance(seconds)
        breaker.record(outcome, clock.monotonic())
        assert breaker.state is State.CLOSED


def test_names_every_senseless_option() -> None:
    with pytest.raises(
        ValueError, match=r"failures.*success_rate.*window.*minimum_attempts.*probe_lease.*tiny_timeout"
    ):
        BreakerOptions(0, success_rate=1.1, window=0, minimum_attempts=0, probe_lease=0, tiny_timeout=-1)


def test_leases_one_probe_after_the_backoff() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(0.9)
    assert not breaker.try_probe()
    clock.advance(0.1)
    assert breaker.try_probe()
    assert breaker.statistics().state is State.HALF_OPEN
    assert not breaker.try_probe()


def test_a_successful_probe_closes() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(1.0)
    breaker.try_probe()
    breaker.record(Outcome.SUCCESS, clock.monotonic())
    assert breaker.statistics().state is State.CLOSED


def test_every_failed_probe_doubles_the_backoff_up_to_its_maximum() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    waits = []
    for _ in range(5):
        waits.append(breaker.probe_at - clock.monotonic())
        clock.advance(waits[-1])
        assert breaker.try_probe()
        breaker.record(Outcome.FAILURE, clock.monotonic())
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]


def closed_for(breaker: Breaker, clock: ManualClock, seconds: float) -> float:
    """Close by a good probe, stay so for a while, open again; answers with the wait until the next probe."""
    clock.advance(breaker.probe_at - clock.monotonic())
    assert breaker.try_probe()
    breaker.record(Outcome.SUCCESS, clock.monotonic())
    clock.advance(seconds)
    for _ in range(OPTIONS.failures):
        breaker.record(Outcome.FAILURE, clock.monotonic())
    return breaker.probe_at - clock.monotonic()


def test_what_comes_and_goes_is_tried_ever_later_until_it_stays() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    assert [closed_for(breaker, clock, 2.0) for _ in range(3)] == [2.0, 4.0, 8.0]
    assert closed_for(breaker, clock, OPTIONS.window) == 1.0
    # A failed probe long after that does not count as a fresh start.
    clock.advance(1.0)
    assert breaker.try_probe()
    breaker.record(Outcome.FAILURE, clock.monotonic())
    assert breaker.probe_at - clock.monotonic() == 2.0


def test_a_cancelled_probe_gives_its_lease_back() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(1.0)
    breaker.try_probe()
    breaker.record(Outcome.NEUTRAL, clock.monotonic())
    assert breaker.statistics().state is State.HALF_OPEN
    assert breaker.try_probe()


def test_a_probe_that_never_ends_loses_its_lease() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(1.0)
    assert breaker.try_probe()
    clock.advance(4.9)
    assert not breaker.try_probe()
    clock.advance(0.1)
    assert breaker.try_probe()


def test_what_began_before_the_verdict_does_not_change_it() -> None:
    clock = ManualClock()
    before = clock.monotonic()
    clock.advance(0.5)
    breaker = opened(clock)
    breaker.record(Outcome.SUCCESS, before)
    assert breaker.statistics().state is State.OPEN
    clock.advance(1.0)
    breaker.try_probe()
    breaker.record(Outcome.FAILURE, before)
    assert breaker.statistics().state is State.HALF_OPEN


def test_stragglers_from_before_it_opened_do_not_open_it_again() -> None:
    clock = ManualClock()
    before = clock.monotonic()
    clock.advance(0.5)
    breaker = opened(clock)
    clock.advance(1.0)
    assert breaker.try_probe()
    breaker.record(Outcome.SUCCESS, clock.monotonic())
    for _ in range(10):
        breaker.record(Outcome.FAILURE, before)
    assert breaker.statistics().state is State.CLOSED


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.INTERNAL, Code.UNKNOWN, Code.DEADLINE_EXCEEDED])
def test_what_trips(code: Code) -> None:
    assert classify(code, 1.0, OPTIONS) is Outcome.FAILURE


def test_what_does_not_trip() -> None:
    assert classify(Code.DEADLINE_EXCEEDED, 0.05, OPTIONS) is Outcome.NEUTRAL
    assert classify(Code.CANCELLED, 1.0, OPTIONS) is Outcome.NEUTRAL
    for code in (Code.OK, Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED, Code.UNAUTHENTICATED):
        assert classify(code, 1.0, OPTIONS) is Outcome.SUCCESS
