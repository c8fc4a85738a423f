import pytest

from libs.core.errors import Code
from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.budget import BudgetOptions, RetryBudget
from libs.mesh.retry import Failure, RetryDecider, attempt_timeout, divides
from libs.mesh.service_config import RetryPolicy
from libs.testing.clock import ManualClock

POLICY = RetryPolicy(3, Backoff(0.02, 1.0), frozenset({Code.UNAVAILABLE}))


def decider(floor: float = 10.0) -> RetryDecider:
    return RetryDecider(RetryBudget(BudgetOptions(ratio=0.2, floor=floor), ManualClock()), new_rng(1))


def test_backs_off_exponentially_with_jitter() -> None:
    first = decider().delay(POLICY, Failure(Code.UNAVAILABLE), 1, 30.0)
    second = decider().delay(POLICY, Failure(Code.UNAVAILABLE), 2, 30.0)
    assert first is not None
    assert second is not None
    assert 0.016 <= first <= 0.024
    assert 0.032 <= second <= 0.048


def test_backoff_never_exceeds_its_maximum_by_more_than_the_jitter() -> None:
    backoff = Backoff(0.02, 1.0)
    delays = [backoff.delay(step, new_rng(step)) for step in range(2000)]
    assert max(delays) <= 1.2
    assert min(delays[10:]) >= 0.8


@pytest.mark.parametrize(
    ("policy", "failure", "attempts", "remaining"),
    [
        (None, Failure(Code.UNAVAILABLE), 1, 30.0),
        (POLICY, Failure(Code.INTERNAL), 1, 30.0),
        (POLICY, Failure(Code.UNAVAILABLE), 3, 30.0),
        (POLICY, Failure(Code.UNAVAILABLE), 1, 0.001),
        (POLICY, Failure(Code.UNAVAILABLE, handed_back=True), 1, 30.0),
        (POLICY, Failure(Code.UNAVAILABLE, pushback="-1"), 1, 30.0),
        (POLICY, Failure(Code.UNAVAILABLE, pushback="soon"), 1, 30.0),
        (POLICY, Failure(Code.UNAVAILABLE, pushback="40000"), 1, 30.0),
    ],
    ids=["no policy", "code", "attempts", "deadline", "retry info", "negative", "broken", "pushback beyond deadline"],
)
def test_does_not_retry(policy: RetryPolicy | None, failure: Failure, attempts: int, remaining: float) -> None:
    assert decider().delay(policy, failure, attempts, remaining) is None


def test_honours_pushback() -> None:
    assert decider().delay(POLICY, Failure(Code.UNAVAILABLE, pushback="150"), 1, 30.0) == 0.15
    assert decider().delay(POLICY, Failure(Code.UNAVAILABLE, pushback="0", handed_back=True), 1, 30.0) == 0.0


def test_stops_when_the_budget_is_spent() -> None:
    it = decider(floor=0.2)
    answers = [it.delay(POLICY, Failure(Code.UNAVAILABLE), 1, 30.0) is not None for _ in range(4)]
    assert answers == [True, True, False, False]


@pytest.mark.parametrize("fields", [(0.0, 1.0), (2.0, 1.0), (1.0, 1.0, 0.5), (1.0, 1.0, 2.0, 1.5)])
def test_refuses_a_senseless_backoff(fields: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must"):
        Backoff(*fields)


SLOW = RetryPolicy(3, Backoff(0.02, 1.0), frozenset({Code.DEADLINE_EXCEEDED}))


def test_time_is_shared_only_if_running_out_of_it_is_worth_a_retry() -> None:
    assert not divides(None)
    assert not divides(POLICY)
    assert divides(SLOW)
    assert attempt_timeout(SLOW, 0, 3.0) == 1.0
    assert attempt_timeout(SLOW, 1, 1.98) == 0.99
    assert attempt_timeout(SLOW, 2, 0.9) == 0.9


def test_an_attempts_own_timeout_comes_first() -> None:
    limited = RetryPolicy(3, Backoff(0.02, 1.0), frozenset({Code.UNAVAILABLE}), attempt_timeout=0.5)
    assert divides(limited)
    assert attempt_timeout(limited, 0, 30.0) == 0.5
    assert attempt_timeout(limited, 2, 0.2) == 0.2
    assert attempt_timeout(POLICY, 0, 7.0) == 7.0
