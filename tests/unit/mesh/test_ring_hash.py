from collections import Counter
from collections.abc import Sequence
from math import ceil, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.core.rng import new_rng
from libs.mesh.load.pending import PendingLoad
from libs.mesh.picker.ring_hash import RingHash, RingHashOptions, RingHashPicker

KEYS = [f"conversation-{number}" for number in range(400)]


class Fake:
    def __init__(self, address: str, weight: float = 1.0) -> None:
        self.address = address
        self.zone = ""
        self.weight = weight
        self.in_flight = 0

    def cost(self, now: float) -> float:
        return PendingLoad().cost(self.in_flight, now)

    def __repr__(self) -> str:
        return f"<{self.address} x {self.weight}>"


def fakes(number: int, weight: float = 1.0) -> list[Fake]:
    return [Fake(f"10.0.0.{index}:50051", weight) for index in range(number)]


def ring_hash(**fields: float) -> RingHash:
    return RingHash(RingHashOptions(**fields), new_rng(1))  # type: ignore[arg-type]  # points is whole


def homes(healthy: Sequence[Fake], everyone: Sequence[Fake]) -> dict[str, str]:
    picker = ring_hash().over(healthy, everyone)
    return {key: picker.pick(key=key).address for key in KEYS}


def bound(endpoint: Fake, healthy: Sequence[Fake], factor: float = 1.25) -> int:
    """The paper's: the most that an endpoint may have in flight after one more attempt anywhere."""
    total = sum(each.in_flight for each in healthy)
    room = factor * (total + 1) * endpoint.weight / sum(each.weight for each in healthy)
    # Where the room is a whole number, rounding may make it a little more.
    return ceil(room + 1e-9)


@pytest.mark.parametrize("fields", [{"points": 0}, {"points": 5000}, {"balance_factor": 1.0}])
def test_refuses_senseless_options(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(fields))} must"):
        RingHashOptions(**fields)  # type: ignore[arg-type]  # points is whole


def test_the_ring_is_the_same_in_every_process() -> None:
    # A literal: whoever changes the hash moves every key of a fleet that runs two versions.
    assert homes(fakes(5), fakes(5))["conversation-7"] == "10.0.0.4:50051"


def test_calls_with_one_key_stay_together() -> None:
    assert homes(fakes(10), fakes(10)) == homes(fakes(10)[::-1], fakes(10)[::-1])


@given(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 4.0]), min_size=2, max_size=12), st.data())
@settings(derandomize=True, deadline=None, max_examples=30)
def test_who_leaves_takes_only_its_own_keys(weights: list[float], data: st.DataObject) -> None:
    everyone = [Fake(f"e{index}", weight) for index, weight in enumerate(weights)]
    # One of the top weight stays: it says how many points a weight is worth.
    everyone.append(Fake("top", 4.0))
    leaves = data.draw(st.integers(0, len(weights) - 1))
    rest = everyone[:leaves] + everyone[leaves + 1 :]
    before, after = homes(everyone, everyone), homes(rest, rest)
    assert {key for key in KEYS if before[key] != after[key]} == {
        key for key in KEYS if before[key] == everyone[leaves].address
    }
    # That it is merely ill moves the same keys to the same places.
    assert homes(rest, everyone) == after


def test_keys_are_spread_by_weight() -> None:
    # An endpoint's part of the ring is the sum of `points` gaps, each roughly exponentially distributed: its relative
    # deviation is 1/sqrt(points). The 20,000 keys add that of a draw. Four of both together.
    everyone = [Fake(f"e{index}", weight) for index, weight in enumerate((1.0, 1.0, 2.0, 4.0))]
    picker = ring_hash(points=512).over(everyone, everyone)
    counts = Counter(picker.pick(key=f"key {number}").address for number in range(20_000))
    for endpoint in everyone:
        share = 20_000 * endpoint.weight / 8
        assert abs(counts[endpoint.address] - share) < 4 * (share / sqrt(512 * endpoint.weight / 4) + sqrt(share))


def test_calls_without_a_key_go_anywhere() -> None:
    everyone = fakes(4)
    picker = ring_hash().over(everyone, everyone)
    assert len({picker.pick().address for _ in range(50)}) == 4


def test_the_overflow_of_a_hot_key_goes_to_the_next_on_the_ring() -> None:
    everyone = fakes(10)
    picker = ring_hash().over(everyone, everyone)
    taken = []
    for _ in range(8):
        endpoint = picker.pick(key="hot")
        endpoint.in_flight += 1
        taken.append(endpoint)
    # Up to 1.25 * (7 + 1) / 10 = 1 each, so every call goes one further; the ring says where.
    assert len(set(taken)) == 8
    for endpoint in everyone:
        endpoint.in_flight = 0
    left = [endpoint for endpoint in everyone if endpoint is not taken[0]]
    assert ring_hash().over(left, everyone).pick(key="hot") is taken[1]
    assert picker.pick(key="hot") is taken[0]


def test_what_is_to_be_avoided_is_passed_over_even_if_all_else_is_full() -> None:
    everyone = fakes(2)
    everyone[0].in_flight = 100
    picker = ring_hash().over(everyone, everyone)
    assert picker.pick([everyone[1]], "key") is everyone[0]


def test_the_ring_is_arranged_once_for_a_set() -> None:
    policy, everyone = ring_hash(), fakes(3)
    first, second = policy.over(everyone, everyone), policy.over(everyone[:2], everyone)
    assert first._ring is second._ring
    assert policy.over(everyone[:2], everyone[:2])._ring is not first._ring
    assert repr(policy) == "<RingHash of 256 points for 2 endpoints>"


def test_the_absolute_size_of_weights_does_not_matter() -> None:
    assert homes(fakes(5), fakes(5)) == homes(fakes(5, 1024.0), fakes(5, 1024.0))


def test_a_large_set_keeps_the_bound_while_attempts_begin() -> None:
    everyone = fakes(50)
    picker = ring_hash(points=16).over(everyone, everyone)
    for number in range(600):
        endpoint = picker.pick(key=f"key {number % 3}")
        assert endpoint.in_flight + 1 <= bound(endpoint, everyone)
        endpoint.in_flight += 1


def test_a_large_set_notices_attempts_that_ended_within_a_few_picks() -> None:
    everyone = fakes(50)
    picker = ring_hash(points=16).over(everyone, everyone)
    for endpoint in everyone:
        endpoint.in_flight = 20
    picker.pick(key="hot")
    for endpoint in everyone:
        endpoint.in_flight = 1
    taken = [picker.pick(key="hot") for _ in range(4)]
    # Two in flight are too many for 1.25 * 51 / 50, unless the old thousand still count; after 50 // 16 = 3 picks they
    # do not.
    taken[-1].in_flight = 2
    assert picker.pick(key="hot") is not taken[-1]


class BoundMachine(RuleBasedStateMachine):
    """Attempts begin and end in any order, endpoints fall ill: nobody ever gets one above the bound."""

    everyone: list[Fake]
    healthy: list[Fake]
    picker: RingHashPicker[Fake]

    @initialize(weights=st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=1, max_size=16))
    def resolve(self, weights: list[float]) -> None:
        self.everyone = [Fake(f"e{index}", weight) for index, weight in enumerate(weights)]
        self.policy = ring_hash(points=16)
        self.recover(self.everyone)

    def recover(self, healthy: list[Fake]) -> None:
        self.healthy = healthy
        self.picker = self.policy.over(healthy, self.everyone)

    @rule(data=st.data())
    def change_health(self, data: st.DataObject) -> None:
        numbers = data.draw(st.sets(st.integers(0, len(self.everyone) - 1), min_size=1))
        self.recover([self.everyone[number] for number in sorted(numbers)])

    @rule(key=st.sampled_from(["", "hot", "warm"]), calls=st.integers(1, 20))
    def begin(self, key: str, calls: int) -> None:
        for _ in range(calls):
            endpoint = self.picker.pick(key=key)
            assert endpoint in self.healthy
            assert endpoint.in_flight + 1 <= bound(endpoint, self.healthy)
            endpoint.in_flight += 1

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        endpoint = data.draw(st.sampled_from(self.everyone))
        endpoint.in_flight -= data.draw(st.integers(0, endpoint.in_flight))

    @invariant()
    def a_free_endpoint_keeps_its_keys(self) -> None:
        if not any(endpoint.in_flight for endpoint in self.healthy):
            fresh = ring_hash(points=16).over(self.healthy, self.everyone)
            assert self.picker.pick(key="hot") is fresh.pick(key="hot")


TestBoundMachine = BoundMachine.TestCase
TestBoundMachine.settings = settings(max_examples=40, derandomize=True, deadline=None)
