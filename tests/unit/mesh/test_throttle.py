import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.core.errors import Code
from libs.core.rng import new_rng
from libs.mesh.throttle import ClientThrottle, ThrottleOptions, was_accepted
from libs.testing.clock import ManualClock


class Client:
    """Calls at a steady rate, through a throttle."""

    def __init__(self, options: ThrottleOptions) -> None:
        self.clock = ManualClock()
        self.throttle = ClientThrottle(options, self.clock, new_rng(1))

    def calls(self, seconds: float, accepted: bool, per_second: int = 20) -> float:
        """Answers with the share that was let through."""
        number = int(seconds * per_second)
        sent = 0
        for _ in range(number):
            self.clock.advance(1 / per_second)
            if self.throttle.admit():
                self.throttle.record(accepted)
                sent += 1
        return sent / number


def test_refuses_nothing_while_calls_are_accepted() -> None:
    client = Client(ThrottleOptions())
    assert client.calls(30, accepted=True) == 1.0
    assert repr(client.throttle) == "<ClientThrottle 600 of 600 accepted, refuses 0.0%>"


def test_half_may_be_turned_away() -> None:
    throttle = ClientThrottle(ThrottleOptions(), ManualClock(), new_rng(1))
    for at in range(1000):
        assert throttle.admit()
        throttle.record(accepted=at % 2 == 0)
    assert throttle.statistics().refusal == 0.0


def test_refuses_by_the_books_formula() -> None:
    throttle = ClientThrottle(ThrottleOptions(ceiling=1.0), ManualClock(), new_rng(1))
    for at in range(1000):
        throttle.record(accepted=at % 4 == 0)
    assert throttle.statistics().refusal == (1000 - 2 * 250) / 1001
    refused = sum(not throttle.admit() for _ in range(1000))
    counts = throttle.statistics()
    assert counts.refused == refused
    assert counts.calls == 1000 + refused, "what was refused here counts"
    # Refusals raise the share that is refused: from 0.5 at first to (1600 - 500) / 1601 = 0.69 at the end.
    assert 550 < refused < 650


def test_a_burst_of_long_calls_is_no_overload() -> None:
    throttle = ClientThrottle(ThrottleOptions(), ManualClock(), new_rng(1))
    assert all(throttle.admit() for _ in range(1000))


def test_few_calls_are_never_refused() -> None:
    client = Client(ThrottleOptions(minimum_calls=100))
    assert client.calls(99, accepted=False, per_second=1) == 1.0


def test_an_outage_stops_most_calls_and_its_end_is_noticed() -> None:
    client = Client(ThrottleOptions())
    client.calls(120, accepted=True)
    client.calls(120, accepted=False)
    assert client.calls(60, accepted=False) == pytest.approx(0.1, abs=0.03)
    client.calls(240, accepted=True)
    assert client.calls(60, accepted=True) == 1.0


def test_what_a_code_says() -> None:
    for code in (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
        assert not was_accepted(code)
    for code in (Code.OK, Code.NOT_FOUND, Code.INTERNAL, Code.PERMISSION_DENIED):
        assert was_accepted(code)


def test_names_every_fault() -> None:
    with pytest.raises(ValueError, match=r"window.*k must.*minimum_calls.*ceiling"):
        ThrottleOptions(window=0, k=0.5, minimum_calls=-1, ceiling=2)


class ThrottleMachine(RuleBasedStateMachine):
    """Against a model that remembers every event: what it counts, and so what it refuses, is the window's."""

    options = ThrottleOptions(window=10.0, minimum_calls=5, ceiling=0.8)

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.throttle = ClientThrottle(self.options, self.clock, new_rng(3))
        self.events: list[tuple[float, bool]] = []

    def within(self, seconds: float) -> list[bool]:
        return [accepted for at, accepted in self.events if self.clock.monotonic() - at < seconds]

    @rule(seconds=st.floats(0.0, 6.0))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(accepted=st.booleans(), times=st.integers(1, 10))
    def end(self, accepted: bool, times: int) -> None:
        for _ in range(times):
            self.throttle.record(accepted)
            self.events.append((self.clock.monotonic(), accepted))

    @rule(times=st.integers(1, 10))
    def call(self, times: int) -> None:
        for _ in range(times):
            could_refuse = self.throttle.statistics().refusal > 0
            if not self.throttle.admit():
                assert could_refuse
                self.events.append((self.clock.monotonic(), False))

    @invariant()
    def counts_the_window_less_a_slot_at_most(self) -> None:
        counts = self.throttle.statistics()
        assert len(self.within(9.0 - 1e-6)) <= counts.calls <= len(self.within(10.0 + 1e-6))
        assert sum(self.within(9.0 - 1e-6)) <= counts.accepted <= sum(self.within(10.0 + 1e-6))

    @invariant()
    def refuses_only_what_is_due(self) -> None:
        counts = self.throttle.statistics()
        assert 0.0 <= counts.refusal <= self.options.ceiling
        assert (counts.refusal > 0) == (counts.calls >= 5 and counts.calls > 2 * counts.accepted)


TestThrottleMachine = ThrottleMachine.TestCase
TestThrottleMachine.settings = settings(max_examples=60, derandomize=True, deadline=None)
