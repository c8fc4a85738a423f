from itertools import pairwise
from math import e, exp, inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.mesh.breaker import Outcome
from libs.mesh.load.peak_ewma import PeakEwma, PeakEwmaOptions
from libs.mesh.load.pending import PendingLoad

OPTIONS = PeakEwmaOptions(decay=10.0, seed=0.030, failure_penalty=5.0)


def measured(seconds: float, now: float = 0.0) -> PeakEwma:
    load = PeakEwma(OPTIONS)
    load.observe(seconds, Outcome.SUCCESS, now)
    return load


def test_pending_counts_one_more() -> None:
    load = PendingLoad()
    load.observe(5.0, Outcome.FAILURE, 0.0)
    assert [load.cost(in_flight, 0.0) for in_flight in range(3)] == [1.0, 2.0, 3.0]
    assert repr(load) == "<PendingLoad>"


@pytest.mark.parametrize("fields", [{"decay": 0.0}, {"seed": -0.1}, {"failure_penalty": -1.0}, {"decay": float("nan")}])
def test_refuses_senseless_options(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(fields))} must"):
        PeakEwmaOptions(**fields)


@pytest.mark.parametrize("seconds", [0.001, 2.0])
def test_the_first_answer_replaces_the_seed(seconds: float) -> None:
    load = PeakEwma(OPTIONS)
    assert load.cost(0, 0.0) == pytest.approx(0.030)
    load.observe(seconds, Outcome.SUCCESS, 1.0)
    assert load.cost(0, 1.0) == seconds


def test_rises_at_once_and_forgets_slowly() -> None:
    load = measured(0.1)
    load.observe(1.0, Outcome.SUCCESS, 0.0)
    assert load.cost(0, 0.0) == 1.0
    load.observe(0.1, Outcome.SUCCESS, 10.0)
    assert load.cost(0, 10.0) == pytest.approx(1.0 / e + 0.1 * (1 - 1 / e))


def test_many_quick_answers_weigh_by_time_not_by_number() -> None:
    load = measured(1.0)
    for step in range(1000):
        load.observe(0.1, Outcome.SUCCESS, 0.01 * (step + 1))
    assert load.cost(0, 10.0) == pytest.approx(1.0 / e + 0.1 * (1 - 1 / e))


def test_costs_grow_with_what_is_in_flight() -> None:
    assert [measured(0.2).cost(in_flight, 0.0) for in_flight in (0, 1, 9)] == pytest.approx([0.2, 0.4, 2.0])


def test_a_failure_adds_the_penalty() -> None:
    load = measured(0.1)
    load.observe(0.001, Outcome.FAILURE, 0.0)
    assert load.cost(0, 0.0) == pytest.approx(5.1)
    assert load.cost(1, 0.0) == pytest.approx(10.2)


def test_a_quick_failure_does_not_make_a_slow_endpoint_look_quick() -> None:
    load = measured(20.0)
    load.observe(0.001, Outcome.FAILURE, 30.0)
    assert load.cost(0, 30.0) == pytest.approx(40.0)


def test_of_a_cancelled_attempt_only_its_length_counts() -> None:
    load = measured(0.1)
    load.observe(0.05, Outcome.NEUTRAL, 0.0)
    assert load.cost(0, 0.0) == 0.1
    load.observe(0.5, Outcome.NEUTRAL, 0.0)
    assert load.cost(0, 0.0) == 0.5
    fresh = PeakEwma(OPTIONS)
    fresh.observe(0.001, Outcome.NEUTRAL, 0.0)
    assert not fresh.statistics(0.0).measured


def returns_after(load: PeakEwma, failed_at: float) -> float:
    """Seconds until the endpoint costs no more than one that answers in 20 ms."""
    return next(step / 10 for step in range(2000) if load.cost(0, failed_at + step / 10) <= 0.02)


def test_a_first_failure_is_forgotten_in_seconds_and_each_that_follows_takes_longer() -> None:
    load = measured(0.01)
    now, waits = 100.0, []
    for _ in range(6):
        load.observe(0.001, Outcome.FAILURE, now)
        waits.append(returns_after(load, now))
        now += waits[-1]
    assert waits[0] == pytest.approx(log(5.0 / 0.01), abs=1.0)
    assert all(later > 1.5 * earlier for earlier, later in pairwise(waits[:4]))
    # Never longer than the latency itself would have been remembered.
    assert waits[5] == pytest.approx(10.0 * log(5.0 / 0.02), abs=2.0)


def test_what_fails_together_counts_once() -> None:
    together, once = measured(0.01), measured(0.01)
    once.observe(0.5, Outcome.FAILURE, 100.0)
    for _ in range(20):
        together.observe(0.5, Outcome.FAILURE, 100.0)
    assert together.cost(0, 107.0) == pytest.approx(once.cost(0, 107.0))


def test_answers_forgive() -> None:
    load = measured(0.01)
    load.observe(0.001, Outcome.FAILURE, 100.0)
    for _ in range(10):
        load.observe(0.01, Outcome.SUCCESS, 100.0)
    assert load.cost(0, 100.0) < 0.02


def test_an_unmeasured_endpoint_is_not_asked_twice() -> None:
    load, slow = PeakEwma(OPTIONS), measured(5.0)
    assert load.cost(0, 0.0) < slow.cost(0, 0.0)
    assert slow.cost(10_000, 0.0) < load.cost(1, 0.0) < load.cost(2, 0.0) < inf
    load.observe(0.01, Outcome.SUCCESS, 0.5)
    assert load.cost(1, 0.5) == pytest.approx(0.02)


def test_a_first_attempt_that_never_answers_does_not_close_an_endpoint_forever() -> None:
    load = PeakEwma(OPTIONS)
    assert load.cost(1, 0.0) > 1e5
    assert load.cost(1, 300.0) < measured(0.1, 300.0).cost(1, 300.0)


def test_a_seeded_endpoint_among_quicker_ones_is_tried_at_last() -> None:
    load = PeakEwma(OPTIONS)
    assert load.cost(0, 0.0) > 0.001
    assert load.cost(0, 40.0) < 0.001
    assert repr(load) == "<PeakEwma seeded 30.0 ms>"


def test_costs_stay_above_zero_however_long_nobody_calls() -> None:
    load = measured(0.0)
    assert load.cost(0, 0.0) > 0
    assert 0 < load.cost(0, 1e9) < load.cost(1, 1e9)


@given(st.floats(0, 100), st.floats(0, 100), st.integers(0, 1000))
def test_without_news_costs_only_fall(first: float, second: float, in_flight: int) -> None:
    load = measured(0.3, 0.0)
    early, late = sorted((first, second))
    assert load.cost(in_flight, early) >= load.cost(in_flight, late) > 0


class EwmaMachine(RuleBasedStateMachine):
    """Against the definition, written without any short cut."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.load = PeakEwma(OPTIONS)
        self.load.cost(0, self.now)
        self.estimate = 0.030
        self.at = self.now
        self.penalty = 0.0
        self.failed_at = -inf
        self.punished_at = -inf
        self.streak = 0
        self.fade = 1.0
        self.measured = False

    def present(self) -> float:
        return max(1e-6, self.estimate * exp(-(self.now - self.at) / 10.0))

    def note(self, estimate: float) -> None:
        self.estimate, self.at, self.measured = max(1e-6, estimate), self.now, True

    @rule(seconds=st.floats(0.0, 60.0))
    def advance(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.floats(0.0, 20.0), outcome=st.sampled_from(Outcome))
    def observe(self, seconds: float, outcome: Outcome) -> None:
        self.load.observe(seconds, outcome, self.now)
        if outcome is Outcome.NEUTRAL:
            if seconds > self.present():
                self.note(seconds)
        elif outcome is Outcome.FAILURE:
            self.note(max(seconds, self.estimate))
            if self.now - seconds > self.failed_at and self.now - self.failed_at > 1.0:
                self.streak = self.streak + 1 if self.now - self.failed_at < 100.0 else 1
                self.fade = min(10.0, 2.0 ** (self.streak - 1))
            self.penalty, self.failed_at, self.punished_at = max(5.0, self.estimate), self.now, self.now
            return
        else:
            self.answered(seconds)

    def left(self) -> float:
        return self.penalty * exp(-(self.now - self.punished_at) / self.fade) if self.penalty else 0.0

    def answered(self, seconds: float) -> None:
        if self.penalty:
            left = self.left() / 2
            self.penalty, self.punished_at = (left if left > 1e-6 else 0.0), self.now
        if not self.measured or seconds >= self.estimate:
            self.note(seconds)
        else:
            kept = exp(-(self.now - self.at) / 10.0)
            self.note(self.estimate * kept + seconds * (1 - kept))

    @invariant()
    def agrees_with_the_definition(self) -> None:
        statistics = self.load.statistics(self.now)
        assert statistics.estimate == pytest.approx(self.present())
        assert statistics.measured == self.measured
        assert self.load.cost(0, self.now) == pytest.approx(self.present() + self.left())


TestEwmaMachine = EwmaMachine.TestCase
TestEwmaMachine.settings = settings(max_examples=40, derandomize=True, deadline=None)


def test_a_new_endpoint_is_measured_by_the_first_call_that_draws_it() -> None:
    quick, new = PeakEwma(PeakEwmaOptions()), PeakEwma(PeakEwmaOptions())
    quick.observe(0.001, Outcome.SUCCESS, 0.0)
    assert new.cost(0, 0.0) < quick.cost(0, 0.0)
    # But by no second one before it has answered.
    assert new.cost(1, 0.0) > quick.cost(50, 0.0)
