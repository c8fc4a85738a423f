"""What callers notice when things go wrong: the real channel with its default options, in virtual time.

The seeds are fixed and so are the figures; the bounds leave room for another seed, not for another behaviour. Most
runs are shorter than the benchmark's (tests/benchmarks/balancing.py).
"""

import pytest

from libs.mesh.budget import BudgetOptions
from libs.mesh.options import MeshOptions
from libs.mesh.picker.policies import PolicyName, PolicyOptions
from libs.testing.simulation.behaviour import Behaviour, Silent
from libs.testing.virtual_loop import run_virtual
from tests.simulation import scenarios

POLICIES: tuple[PolicyName, ...] = ("round_robin", "least_request", "peak_ewma")
every_policy = pytest.mark.parametrize("policy", POLICIES)


def without_retries(policy: PolicyName) -> MeshOptions:
    return MeshOptions(policy=policy, service_config={})


@pytest.mark.parametrize(
    ("policy", "success"),
    # Round robin finds out by calls that time out, and so loses about 90 at the beginning (those in flight when the
    # first times out) and one for each probe; the others stop sending as soon as calls pile up.
    [("round_robin", 0.993), ("least_request", 0.998), ("peak_ewma", 0.998)],
)
def test_a_slow_backend_is_left_alone(policy: PolicyName, success: float) -> None:
    result = run_virtual(scenarios.slow_backend(1, without_retries(policy), seconds=16))
    assert result.success >= success
    assert result.p99_ms < 190


def test_a_slow_backend_does_not_reach_one_call_in_a_thousand() -> None:
    result = run_virtual(scenarios.slow_backend(1, without_retries("peak_ewma")))
    assert result.success >= 0.9993
    assert result.p999_ms <= 190


@every_policy
def test_a_backend_that_fails_fast_attracts_nobody(policy: PolicyName) -> None:
    result = run_virtual(scenarios.fast_failing(1, without_retries(policy), seconds=30))
    # Five failures open the breaker, and each probe is one more.
    assert result.failures <= 15
    assert result.success >= 0.999


def test_peak_ewma_hardly_calls_a_backend_that_fails_fast() -> None:
    assert run_virtual(scenarios.fast_failing(1, without_retries("peak_ewma"))).success >= 0.9997


@every_policy
def test_a_flapping_backend_costs_a_few_calls_without_retries_and_none_with_them(policy: PolicyName) -> None:
    assert run_virtual(scenarios.flapping(1, without_retries(policy), seconds=24)).success >= 0.997
    assert run_virtual(scenarios.flapping(1, MeshOptions(policy=policy), seconds=24)).failures == 0


@every_policy
def test_a_cold_backend_is_hardly_noticed_and_gets_its_share_in_the_end(policy: PolicyName) -> None:
    result = run_virtual(scenarios.cold_start(1, MeshOptions(policy=policy)))
    assert result.joined.failures == 0
    assert result.late_share >= 0.5
    if policy != "round_robin":
        assert result.early_share < 0.2
    if policy == "peak_ewma":
        # The others do not see that it is slow, only that it is new.
        assert result.joined.p999_ms < 300


@every_policy
@pytest.mark.parametrize(
    ("outage", "success"),
    # Of a zone that falls silent, callers learn nothing for the second that each of them waits.
    [(scenarios.GONE, 0.999), (Silent(), 0.97)],
    ids=["gone", "silent"],
)
def test_the_loss_of_a_zone_is_spread_over_the_others(policy: PolicyName, outage: Behaviour, success: float) -> None:
    options = {zone: MeshOptions(policy=policy, policies=PolicyOptions(zone=zone)) for zone in "abc"}
    result = run_virtual(scenarios.zone_loss(1, options, outage, seconds=20))
    assert result.local_share >= 0.95
    assert result.success_while_lost >= success
    assert result.shed == 0
    assert result.busiest <= 1.0


@every_policy
def test_a_retry_storm_ends_when_its_cause_does(policy: PolicyName) -> None:
    options = MeshOptions(policy=policy, service_config=scenarios.RETRY_TIMEOUTS)
    result = run_virtual(scenarios.retry_storm(1, options, seconds=32))
    assert result.load <= 1.25
    # The queues alone hold a second's work, and take 3 to 4 s to clear against the calls that keep coming.
    assert result.recovery_s <= 5.0


def test_without_a_budget_the_same_storm_never_ends() -> None:
    # What the scenario is worth: were the budget not there, this is what would happen.
    options = MeshOptions(service_config=scenarios.RETRY_TIMEOUTS, budget=BudgetOptions(ratio=1000))
    result = run_virtual(scenarios.retry_storm(1, options, seconds=32))
    assert result.load > 2
    assert result.recovery_s == float("inf")


@every_policy
def test_everybody_comes_back_after_everybody_was_gone(policy: PolicyName) -> None:
    result = run_virtual(scenarios.retry_storm(1, MeshOptions(policy=policy), scenarios.GONE, seconds=32))
    assert result.load <= 1.25
    assert result.recovery_s <= 1.0


@every_policy
@pytest.mark.parametrize("drain", [3.0, 0.0], ids=["drained", "killed"])
def test_a_rolling_restart_loses_no_call(policy: PolicyName, drain: float) -> None:
    result = run_virtual(scenarios.rolling_restart(1, MeshOptions(policy=policy), drain=drain))
    assert result.failures == 0
    assert result.p999_ms < 250


@every_policy
def test_many_clients_with_few_calls_each_spread_evenly(policy: PolicyName) -> None:
    result = run_virtual(scenarios.many_clients(1, MeshOptions(policy=policy)))
    assert result.failures == 0
    # About 300 calls a backend; drawn at random the busiest of 20 would have 1.11 times the mean.
    assert result.spread <= 1.25


@every_policy
def test_the_same_seed_gives_the_same_run(policy: PolicyName) -> None:
    def run(seed: int) -> scenarios.Result:
        return run_virtual(scenarios.flapping(seed, MeshOptions(policy=policy), seconds=5))

    assert run(3) == run(3)
    assert run(3) != run(4)
