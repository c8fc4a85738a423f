from collections import Counter

import pytest

from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.balancer import Balancer
from libs.mesh.breaker import Breaker, BreakerOptions, Outcome, State
from libs.mesh.picker.round_robin import RoundRobin, RoundRobinPicker
from libs.testing.clock import ManualClock

OPTIONS = BreakerOptions(failures=2, backoff=Backoff(1.0, 8.0, jitter=0.0))


class FakeEndpoint:
    def __init__(self, address: str, clock: ManualClock) -> None:
        self.address = address
        self.breaker = Breaker(OPTIONS, clock, new_rng(1))


class Fixture:
    def __init__(self, *addresses: str) -> None:
        self.clock = ManualClock()
        self.changes: list[tuple[str, State, State]] = []
        self.balancer = Balancer[FakeEndpoint](
            lambda address: FakeEndpoint(address, self.clock),
            RoundRobin(new_rng(1)),
            self.clock,
            lambda endpoint, old, new: self.changes.append((endpoint.address, old, new)),
        )
        self.balancer.apply(addresses)

    def pick(self, *avoid: FakeEndpoint) -> FakeEndpoint:
        endpoint = self.balancer.pick(avoid)
        assert endpoint is not None
        return endpoint

    def fail(self, *addresses: str) -> None:
        for endpoint in self.balancer.endpoints:
            if endpoint.address in addresses:
                for _ in range(2):
                    self.balancer.record(endpoint, Outcome.FAILURE, self.clock.monotonic())

    def picks(self, number: int) -> Counter[str]:
        return Counter(self.pick().address for _ in range(number))


def test_round_robin_is_even() -> None:
    assert set(Fixture("a", "b", "c").picks(30).values()) == {10}


def test_a_new_snapshot_does_not_start_over() -> None:
    policy = RoundRobin[str](new_rng(1))
    taken = [policy.over("ab").pick() for _ in range(10)]
    assert Counter(taken) == {"a": 5, "b": 5}


def test_a_picker_needs_endpoints() -> None:
    with pytest.raises(ValueError, match="at least one"):
        RoundRobinPicker[str]([], iter(()))


def test_avoids_what_failed_if_there_is_another() -> None:
    it = Fixture("a", "b")
    first = it.pick()
    assert all(it.pick(first) is not first for _ in range(5))
    only = Fixture("a")
    assert only.pick(only.pick()).address == "a"


def test_no_endpoints() -> None:
    assert Fixture().balancer.pick() is None


def test_an_update_keeps_what_stays() -> None:
    it = Fixture("a", "b")
    kept = next(endpoint for endpoint in it.balancer.endpoints if endpoint.address == "b")
    removed = it.balancer.apply(("b", "c"))
    assert [endpoint.address for endpoint in removed] == ["a"]
    assert kept in it.balancer.endpoints
    assert set(it.picks(10)) == {"b", "c"}


def test_an_open_endpoint_is_left_alone_until_one_probe_succeeds() -> None:
    it = Fixture("a", "b")
    it.fail("a")
    assert set(it.picks(10)) == {"b"}
    it.clock.advance(1.0)
    assert it.picks(10) == {"a": 1, "b": 9}
    probed = next(endpoint for endpoint in it.balancer.endpoints if endpoint.address == "a")
    it.balancer.record(probed, Outcome.SUCCESS, it.clock.monotonic())
    assert it.picks(10) == {"a": 5, "b": 5}
    assert it.changes == [
        ("a", State.CLOSED, State.OPEN),
        ("a", State.OPEN, State.HALF_OPEN),
        ("a", State.HALF_OPEN, State.CLOSED),
    ]


def test_a_retry_is_never_a_probe() -> None:
    it = Fixture("a", "b", "c")
    it.fail("a")
    it.clock.advance(1.0)
    failed = next(endpoint for endpoint in it.balancer.endpoints if endpoint.address == "b")
    assert it.pick(failed).address == "c"


def test_a_cancelled_probe_is_followed_by_another() -> None:
    it = Fixture("a", "b")
    it.fail("a")
    it.clock.advance(1.0)
    probed = it.pick()
    it.balancer.record(probed, Outcome.NEUTRAL, it.clock.monotonic())
    assert it.pick() is probed


def test_panics_when_every_breaker_is_open() -> None:
    it = Fixture("a", "b")
    it.fail("a", "b")
    assert it.balancer.statistics().panicking
    assert it.picks(10) == {"a": 5, "b": 5}
    survivor = it.pick()
    it.balancer.record(survivor, Outcome.SUCCESS, it.clock.monotonic())
    assert not it.balancer.statistics().panicking
    assert set(it.picks(4)) == {survivor.address}
    assert repr(it.balancer) == "<Balancer 1 of 2 endpoints closed>"


def test_the_end_of_a_removed_endpoint_matters_to_nobody() -> None:
    it = Fixture("a", "b")
    removed = it.balancer.apply(("b",))[0]
    for _ in range(2):
        it.balancer.record(removed, Outcome.FAILURE, it.clock.monotonic())
    assert it.changes == []
