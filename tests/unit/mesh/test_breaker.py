import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.core.errors import Code
from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.breaker import Breaker, BreakerOptions, Outcome, State, classify
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
    assert repr(breaker) == "<Breaker OPEN, 3 consecutive failures, opened 1 times>"


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


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.INTERNAL, Code.UNKNOWN, Code.DEADLINE_EXCEEDED])
def test_what_trips(code: Code) -> None:
    assert classify(code, 1.0, OPTIONS) is Outcome.FAILURE


def test_what_does_not_trip() -> None:
    assert classify(Code.DEADLINE_EXCEEDED, 0.05, OPTIONS) is Outcome.NEUTRAL
    assert classify(Code.CANCELLED, 1.0, OPTIONS) is Outcome.NEUTRAL
    for code in (Code.OK, Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED, Code.UNAUTHENTICATED):
        assert classify(code, 1.0, OPTIONS) is Outcome.SUCCESS


class BreakerMachine(RuleBasedStateMachine):
    """Whatever happens: states follow the rules, and there is at most one live probe."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.breaker = Breaker(OPTIONS, self.clock, new_rng(7))
        self.failures = 0
        self.leased_at: float | None = None

    @rule(seconds=st.floats(0.0, 10.0))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.breaker.state is State.CLOSED)
    @rule(outcome=st.sampled_from(Outcome))
    def call(self, outcome: Outcome) -> None:
        self.breaker.record(outcome, self.clock.monotonic())
        self.failures = {Outcome.SUCCESS: 0, Outcome.FAILURE: self.failures + 1}.get(outcome, self.failures)
        assert (self.breaker.state is State.OPEN) == (self.failures == OPTIONS.failures)

    @rule()
    def probe(self) -> None:
        before, due = self.breaker.state, self.breaker.probe_at
        leased = self.breaker.try_probe()
        assert leased == (before is not State.CLOSED and self.clock.monotonic() >= due)
        if leased:
            live = self.leased_at is not None and self.clock.monotonic() < self.leased_at + OPTIONS.probe_lease
            assert not live
            self.leased_at = self.clock.monotonic()

    @precondition(lambda self: self.leased_at is not None)
    @rule(outcome=st.sampled_from(Outcome))
    def answer_probe(self, outcome: Outcome) -> None:
        assert self.leased_at is not None
        self.breaker.record(outcome, self.leased_at)
        expected = {Outcome.SUCCESS: State.CLOSED, Outcome.FAILURE: State.OPEN}.get(outcome, State.HALF_OPEN)
        assert self.breaker.state is expected
        self.leased_at = None
        self.failures = 0 if expected is State.CLOSED else self.failures

    @invariant()
    def only_a_closed_breaker_needs_no_probe(self) -> None:
        assert (self.breaker.probe_at == float("inf")) == (self.breaker.state is State.CLOSED)


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, derandomize=True, deadline=None)
