import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.mesh.budget import BudgetOptions, RetryBudget
from libs.testing.clock import ManualClock


def test_a_quiet_channel_has_its_floor() -> None:
    budget = RetryBudget(BudgetOptions(ttl=10, ratio=0.2, floor=1), ManualClock())
    assert [budget.try_withdraw() for _ in range(11)] == [True] * 10 + [False]


def test_calls_earn_retries() -> None:
    budget = RetryBudget(BudgetOptions(ratio=0.2, floor=0), ManualClock())
    assert not budget.try_withdraw()
    for _ in range(10):
        budget.deposit()
    assert [budget.try_withdraw() for _ in range(3)] == [True, True, False]
    assert repr(budget) == "<RetryBudget 0.0 left, 2 withdrawn, 2 refused>"


def test_deposits_expire() -> None:
    clock = ManualClock()
    budget = RetryBudget(BudgetOptions(ttl=10, ratio=1, floor=0), clock)
    budget.deposit()
    clock.advance(8.9)
    assert budget.statistics().balance == 1
    clock.advance(1.2)
    assert budget.statistics().balance == 0


def test_spent_retries_come_back_after_the_window() -> None:
    clock = ManualClock()
    budget = RetryBudget(BudgetOptions(ttl=1, ratio=0, floor=1), clock)
    assert budget.try_withdraw()
    assert not budget.try_withdraw()
    clock.advance(1.1)
    assert budget.try_withdraw()


@pytest.mark.parametrize("fields", [{"ttl": 0.5}, {"ratio": -1}, {"floor": -1}])
def test_refuses_senseless_options(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        BudgetOptions(**fields)


class BudgetMachine(RuleBasedStateMachine):
    """Against a model that remembers every event: retries in a window never exceed floor and ratio."""

    options = BudgetOptions(ttl=2, ratio=0.5, floor=2)

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.budget = RetryBudget(self.options, self.clock)
        self.events: list[tuple[int, float]] = []

    def balance(self) -> float:
        slot = int(self.clock.monotonic() / 0.2)
        return 4.0 + sum(amount for at, amount in self.events if slot - at < 10)

    def note(self, amount: float) -> None:
        self.events.append((int(self.clock.monotonic() / 0.2), amount))

    @rule(seconds=st.floats(0.0, 3.0))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(calls=st.integers(1, 20))
    def deposit(self, calls: int) -> None:
        for _ in range(calls):
            self.budget.deposit()
            self.note(0.5)

    @rule()
    def withdraw(self) -> None:
        granted = self.balance() >= 1.0
        assert self.budget.try_withdraw() == granted
        if granted:
            self.note(-1.0)

    @invariant()
    def agrees_with_the_model(self) -> None:
        assert self.budget.statistics().balance == pytest.approx(max(0.0, self.balance()))


class WindowMachine(RuleBasedStateMachine):
    """Whatever the slots: the retries of any 9/10 of a window are paid for by the calls of the window they end."""

    options = BudgetOptions(ttl=2, ratio=0.3, floor=1)

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.budget = RetryBudget(self.options, self.clock)
        self.calls: list[float] = []
        self.retries: list[float] = []

    @rule(seconds=st.floats(0.0, 0.7))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(idle=st.floats(2.0, 100.0))
    def idle(self, idle: float) -> None:
        self.clock.advance(idle)
        assert self.budget.statistics().balance == self.options.floor * self.options.ttl, "nothing is saved up"

    @rule(number=st.integers(1, 30))
    def call(self, number: int) -> None:
        for _ in range(number):
            self.budget.deposit()
            self.calls.append(self.clock.monotonic())

    @rule()
    def retry_as_long_as_permitted(self) -> None:
        before = self.budget.statistics()
        while self.budget.try_withdraw():
            self.retries.append(self.clock.monotonic())
        after = self.budget.statistics()
        assert after.balance < 1.0
        assert after.withdrawn == len(self.retries)
        assert after.refused == before.refused + 1
        # Earlier retries were paid for by earlier calls, which may have expired since.
        if after.withdrawn > before.withdrawn:
            self.check()

    def check(self) -> None:
        now, ttl = self.clock.monotonic(), self.options.ttl
        calls = sum(now - at <= ttl + 1e-9 for at in self.calls)
        retries = sum(now - at < 0.9 * ttl - 1e-9 for at in self.retries)
        assert retries <= self.options.floor * ttl + self.options.ratio * calls + 1e-9

    @invariant()
    def a_quiet_channel_can_always_retry_again(self) -> None:
        if not any(self.clock.monotonic() - at <= 2.0 for at in self.retries):
            assert self.budget.statistics().balance >= 2.0


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=60, derandomize=True, deadline=None)
TestWindowMachine = WindowMachine.TestCase
TestWindowMachine.settings = settings(max_examples=60, derandomize=True, deadline=None)
