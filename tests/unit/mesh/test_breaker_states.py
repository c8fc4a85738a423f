"""Whatever happens to a breaker, its states follow the rules: a model that remembers every event says what they are."""

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.breaker import Breaker, BreakerOptions, Outcome, State
from libs.testing.clock import ManualClock

OPTIONS = BreakerOptions(
    failures=3,
    success_rate=0.7,
    window=10.0,
    minimum_attempts=5,
    backoff=Backoff(1.0, 8.0, jitter=0.5),
    probe_lease=5.0,
)
SLOT = OPTIONS.window / 10
LONGEST_BACKOFF = 8.0 * 1.5


class BreakerMachine(RuleBasedStateMachine):
    """There is at most one live probe, and only what happened lately and in order opens the breaker."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.breaker = Breaker(OPTIONS, self.clock, new_rng(7))
        self.streak = 0
        self.recent: list[tuple[int, bool]] = []
        self.leased_at: float | None = None
        self.opened_at = -inf

    def counted(self) -> list[bool]:
        slot = int(self.clock.monotonic() / SLOT)
        return [succeeded for at, succeeded in self.recent if slot - at < 10]

    def should_open(self) -> bool:
        counted = self.counted()
        rate = sum(counted) / len(counted) if counted else 1.0
        return self.streak >= OPTIONS.failures or (len(counted) >= 5 and rate < OPTIONS.success_rate)

    def note(self, outcome: Outcome) -> None:
        if outcome is not Outcome.NEUTRAL:
            self.recent.append((int(self.clock.monotonic() / SLOT), outcome is Outcome.SUCCESS))
            self.streak = 0 if outcome is Outcome.SUCCESS else self.streak + 1

    def closed(self) -> None:
        assert self.breaker.state is State.CLOSED
        self.streak, self.recent, self.leased_at = 0, [], None

    @rule(seconds=st.floats(0.0, 12.0))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.breaker.state is State.CLOSED)
    @rule(outcomes=st.lists(st.sampled_from(Outcome), min_size=1, max_size=12), apart=st.floats(0.0, 1.0))
    def call(self, outcomes: list[Outcome], apart: float) -> None:
        for outcome in outcomes:
            self.clock.advance(apart)
            self.breaker.record(outcome, self.clock.monotonic())
            self.note(outcome)
            opens = outcome is Outcome.FAILURE and self.should_open()
            assert (self.breaker.state is State.OPEN) == opens
            if opens:
                self.opened_at = self.clock.monotonic()
                break

    @precondition(lambda self: self.opened_at > 0)
    @rule(outcome=st.sampled_from(Outcome))
    def straggle(self, outcome: Outcome) -> None:
        """What began before it opened changes no verdict."""
        before = self.breaker.state
        if before is State.CLOSED and outcome is Outcome.SUCCESS:
            self.note(outcome)
        self.breaker.record(outcome, self.opened_at - 1.0)
        assert self.breaker.state is before

    @rule()
    def probe(self) -> None:
        before, due = self.breaker.state, self.breaker.probe_at
        leased = self.breaker.try_probe()
        assert leased == (before is not State.CLOSED and self.clock.monotonic() >= due)
        if leased:
            live = self.leased_at is not None and self.clock.monotonic() < self.leased_at + OPTIONS.probe_lease
            assert not live
            assert self.breaker.state is State.HALF_OPEN
            self.leased_at = self.clock.monotonic()

    @precondition(lambda self: self.leased_at is not None)
    @rule(outcome=st.sampled_from(Outcome))
    def answer_probe(self, outcome: Outcome) -> None:
        assert self.leased_at is not None
        self.breaker.record(outcome, self.leased_at)
        self.leased_at = None
        if outcome is Outcome.SUCCESS:
            self.closed()
        elif outcome is Outcome.FAILURE:
            assert self.breaker.state is State.OPEN
            self.opened_at = self.clock.monotonic()
        else:
            assert self.breaker.state is State.HALF_OPEN

    @precondition(lambda self: self.breaker.state is State.OPEN)
    @rule()
    def succeed_in_panic(self) -> None:
        self.breaker.record(Outcome.SUCCESS, self.clock.monotonic())
        self.closed()

    @precondition(lambda self: self.breaker.state is not State.CLOSED)
    @rule()
    def recover(self) -> None:
        """It never stays open for ever: after the longest backoff a probe is let through, and its success closes."""
        self.clock.advance(LONGEST_BACKOFF)
        assert self.breaker.try_probe()
        self.breaker.record(Outcome.SUCCESS, self.clock.monotonic())
        self.closed()

    @invariant()
    def only_a_closed_breaker_needs_no_probe(self) -> None:
        assert (self.breaker.probe_at == inf) == (self.breaker.state is State.CLOSED)
        assert self.breaker.state is State.CLOSED or self.breaker.probe_at <= self.clock.monotonic() + LONGEST_BACKOFF

    @invariant()
    def counts_what_the_model_counts(self) -> None:
        counts = self.breaker.statistics()
        assert (counts.state, counts.consecutive_failures) == (self.breaker.state, self.streak)
        assert counts.attempts == len(self.counted())


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, derandomize=True, deadline=None)
