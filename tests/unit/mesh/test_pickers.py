import heapq
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.rng import new_rng
from libs.mesh.breaker import Outcome
from libs.mesh.load.base import Load
from libs.mesh.load.pending import PendingLoad
from libs.mesh.picker.alias import AliasTable
from libs.mesh.picker.base import Policy
from libs.mesh.picker.p2c import P2C
from libs.mesh.picker.policies import POLICIES, PolicyName, PolicyOptions, make_policy
from libs.mesh.picker.round_robin import RoundRobin
from libs.testing.clock import ManualClock

WEIGHTS = st.lists(st.floats(0.01, 100.0), min_size=1, max_size=30)


class Fake:
    """An endpoint that answers after `latency` seconds, or fails at once if that is negative."""

    def __init__(self, address: str, weight: float = 1.0, load: Load | None = None, latency: float = 0.1) -> None:
        self.address = address
        self.zone = ""
        self.weight = weight
        self.in_flight = 0
        self.latency = latency
        self.load = load or PendingLoad()

    def cost(self, now: float) -> float:
        return self.load.cost(self.in_flight, now)


def fakes(*weights: float) -> list[Fake]:
    return [Fake(f"e{index}", weight) for index, weight in enumerate(weights)]


def policy_named(name: PolicyName, clock: ManualClock | None = None) -> Policy:
    return make_policy(name, PolicyOptions(), clock or ManualClock(), new_rng(1))


def shares(policy: Policy, endpoints: Sequence[Fake], picks: int) -> Counter[str]:
    picker = policy.over(endpoints, endpoints)
    return Counter(picker.pick(key=str(number)).address for number in range(picks))


@pytest.mark.parametrize("name", POLICIES)
def test_a_picker_needs_endpoints(name: PolicyName) -> None:
    empty: list[Fake] = []
    with pytest.raises(ValueError, match="at least one"):
        policy_named(name).over(empty, fakes(1.0))


@pytest.mark.parametrize("name", POLICIES)
def test_one_endpoint_is_always_picked(name: PolicyName) -> None:
    only = Fake("only")
    picker = policy_named(name).over([only], [only])
    assert picker.pick() is picker.pick([only], "key") is only


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("weights", [(1.0,) * 6, (1.0, 2.0, 3.0, 4.0, 5.0, 1000.0)])
def test_avoids_what_failed_as_long_as_there_is_another(name: PolicyName, weights: tuple[float, ...]) -> None:
    endpoints = fakes(*weights)
    picker = policy_named(name).over(endpoints, endpoints)
    for failed in range(1, 6):
        avoid = endpoints[-failed:]
        assert all(picker.pick(avoid, str(number)) not in avoid for number in range(50))
    assert picker.pick(endpoints, "key") in endpoints


@pytest.mark.parametrize("name", POLICIES)
def test_only_the_healthy_are_picked(name: PolicyName) -> None:
    endpoints = fakes(1.0, 1.0, 1.0, 1.0)
    picker = policy_named(name).over(endpoints[:2], endpoints)
    assert {picker.pick(key=str(number)).address for number in range(100)} == {"e0", "e1"}
    assert repr(picker).startswith("<")


def test_an_unknown_policy_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="round_robin, least_request, peak_ewma, ring_hash; got 'random'"):
        policy_named("random")  # type: ignore[arg-type]  # what a configuration may hold


def test_round_robin_is_even_over_snapshots() -> None:
    policy, endpoints = RoundRobin(new_rng(1)), fakes(1.0, 1.0, 1.0)
    taken = Counter(policy.over(endpoints, endpoints).pick().address for _ in range(30))
    assert set(taken.values()) == {10}


@given(WEIGHTS, st.integers(0, 10**6))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_weighted_turns_stay_close_to_the_shares(weights: list[float], seed: int) -> None:
    # Kuipers and Niederreiter, chapter 2, theorem 3.4: with the golden ratio (all partial quotients 1) no interval
    # strays by more than 3 + 3.53 ln N. The walk starts anywhere, so an endpoint's interval may be one in two pieces.
    endpoints, picks = fakes(*weights), 500
    counts = shares(RoundRobin(new_rng(seed)), endpoints, picks)
    for endpoint in endpoints:
        share = picks * endpoint.weight / sum(weights)
        assert abs(counts[endpoint.address] - share) <= 2 * (3 + 3.53 * log(picks))


def test_weighted_turns_in_practice_miss_by_two_at_most() -> None:
    counts = shares(RoundRobin(new_rng(3)), fakes(1.0, 2.0, 7.0), 1000)
    assert all(abs(counts[address] - share) <= 2 for address, share in (("e0", 100), ("e1", 200), ("e2", 700)))


def test_the_turns_of_an_endpoint_are_spread() -> None:
    endpoints = fakes(1.0, 9.0)
    picker = RoundRobin(new_rng(1)).over(endpoints, endpoints)
    turns = [number for number in range(1000) if picker.pick().address == "e0"]
    gaps = {later - earlier for earlier, later in pairwise(turns)}
    assert len(gaps) <= 3
    assert max(gaps) <= 2 * 10


@given(WEIGHTS)
@settings(derandomize=True, deadline=None, max_examples=50)
def test_the_alias_table_splits_its_columns_by_weight(weights: list[float]) -> None:
    table = AliasTable(weights, new_rng(1))
    mass = [0.0] * len(weights)
    for column, (threshold, alias) in enumerate(zip(table._thresholds, table._aliases, strict=True)):
        mass[column] += threshold - column
        mass[alias] += 1.0 - (threshold - column)
    assert mass == pytest.approx([weight * len(weights) / sum(weights) for weight in weights], abs=1e-9)
    assert all(0 <= table.draw() < len(weights) for _ in range(20))


@pytest.mark.parametrize("weights", [[], [1.0, 0.0], [-1.0]])
def test_an_alias_table_needs_weights(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="all above 0"):
        AliasTable(weights, new_rng(1))


@pytest.mark.parametrize("weights", [(1.0,) * 5, (1.0, 2.0, 3.0, 4.0, 5.0)])
def test_two_choices_never_take_the_worst(weights: tuple[float, ...]) -> None:
    endpoints = fakes(*weights)
    endpoints[2].in_flight = 1
    assert "e2" not in shares(P2C(PendingLoad, ManualClock(), new_rng(1)), endpoints, 500)


def test_two_choices_without_load_share_by_weight() -> None:
    # Each pick is a Bernoulli trial, so a count strays by sqrt(N p (1 - p)); four of those are exceeded once in
    # 16,000 times, and the seed is fixed.
    endpoints, picks = fakes(1.0, 2.0, 7.0), 10_000
    counts = shares(P2C(PendingLoad, ManualClock(), new_rng(2)), endpoints, picks)
    for endpoint, share in zip(endpoints, (0.1, 0.2, 0.7), strict=True):
        assert abs(counts[endpoint.address] - picks * share) < 4 * sqrt(picks * share * (1 - share))


def test_two_choices_survive_a_weight_that_takes_all() -> None:
    endpoints = fakes(1.0, 1e12, 1.0)
    endpoints[1].in_flight = 5
    assert set(shares(P2C(PendingLoad, ManualClock(), new_rng(1)), endpoints, 200)) == {"e0", "e2"}


def simulate(name: PolicyName, latencies: Sequence[float], calls: int = 3000, rate: float = 100.0) -> Counter[str]:
    """Calls arrive at `rate` per second; a negative latency fails at once. Counts the calls by endpoint."""
    clock = ManualClock()
    policy = policy_named(name, clock)
    endpoints = [Fake(f"e{index}", 1.0, policy.new_load(), latency) for index, latency in enumerate(latencies)]
    picker = policy.over(endpoints, endpoints)
    ends: list[tuple[float, int, Fake]] = []
    counts: Counter[str] = Counter()
    for call in range(calls):
        clock.advance(1 / rate)
        while ends and ends[0][0] <= clock.monotonic():
            at, _, done = heapq.heappop(ends)
            done.in_flight -= 1
            outcome = Outcome.FAILURE if done.latency < 0 else Outcome.SUCCESS
            done.load.observe(max(0.0, done.latency), outcome, at)
        endpoint = picker.pick()
        endpoint.in_flight += 1
        counts[endpoint.address] += 1
        heapq.heappush(ends, (clock.monotonic() + max(0.0, endpoint.latency), call, endpoint))
    return counts


@pytest.mark.parametrize(("name", "least", "most"), [("least_request", 0.01, 0.05), ("peak_ewma", 0.0, 0.002)])
def test_the_slow_one_of_five_gets_less(name: PolicyName, least: float, most: float) -> None:
    # A fifth would be the even share; the endpoint is 20 times slower. The others have 25 calls/s of 50 ms each, so
    # 1.25 in flight: least request leaves the slow one when it has 2 or 3, which take a second: 2-3% of 100 calls/s.
    # Peak EWMA asks it about once in `decay * ln(20)` = 30 s, so once or twice in 30 s.
    share = simulate(name, [0.05, 0.05, 0.05, 0.05, 1.0])["e4"] / 3000
    assert least <= share <= most


def test_peak_ewma_sees_through_a_quick_failure_where_least_request_falls_for_it() -> None:
    latencies = [0.05, 0.05, 0.05, 0.05, -1.0]
    assert simulate("least_request", latencies)["e4"] / 3000 > 0.3
    assert simulate("peak_ewma", latencies)["e4"] / 3000 < 0.01


def test_equal_endpoints_get_equal_shares() -> None:
    # Two choices even out what is in flight, so counts stray less than independent draws would: by 4 sigma of those
    # at most.
    counts = simulate("peak_ewma", [0.05] * 5)
    assert all(abs(count - 600) < 4 * sqrt(3000 * 0.2 * 0.8) for count in counts.values())
