from collections import Counter
from collections.abc import Iterable

import grpc
import pytest

from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.balancer import Balancer, SaturatedError
from libs.mesh.breaker import Breaker, BreakerOptions, Outcome, State
from libs.mesh.endpoint import Endpoint, EndpointParts
from libs.mesh.limit.fixed import FixedLimit
from libs.mesh.load.pending import PendingLoad
from libs.mesh.load.slow_start import SlowStart, SlowStartOptions
from libs.mesh.outliers import OutlierDetector, OutlierOptions, OutlierRecord
from libs.mesh.picker.round_robin import RoundRobin
from libs.mesh.resolver.base import ResolvedEndpoint
from libs.testing.clock import ManualClock

OPTIONS = BreakerOptions(failures=2, backoff=Backoff(1.0, 8.0, jitter=0.0))
OUTLIERS = OutlierOptions(interval=10.0, base_ejection=30.0, minimum_hosts=3, minimum_attempts=5, deviations=1.0)


def resolved(addresses: Iterable[str]) -> list[ResolvedEndpoint]:
    return [ResolvedEndpoint(address) for address in addresses]


def no_channel(address: str) -> grpc.aio.Channel:
    raise AssertionError(f"nobody dials {address} here")


class Fixture:
    def __init__(self, *addresses: str, limit: int | None = None, panic_threshold: float = 0.0) -> None:
        self.clock = ManualClock()
        self.limit = limit
        self.changes: list[tuple[str, State, State]] = []
        self.ejections = 0
        outliers = OutlierDetector(OUTLIERS, self.clock, new_rng(2))
        self.balancer = Balancer[Endpoint](
            self.new_endpoint, RoundRobin(new_rng(1)), outliers, panic_threshold, self.clock, self
        )
        self.apply(*addresses)

    def new_endpoint(self, resolved: ResolvedEndpoint) -> Endpoint:
        limiter = None if self.limit is None else FixedLimit(self.limit)
        breaker = Breaker(OPTIONS, self.clock, new_rng(1))
        parts = EndpointParts(
            breaker, PendingLoad(), OutlierRecord(), limiter, SlowStart(SlowStartOptions(window=10.0), new_rng(3))
        )
        return Endpoint(resolved, parts, no_channel)

    def breaker_changed(self, endpoint: Endpoint, old: State, new: State) -> None:
        self.changes.append((endpoint.address, old, new))

    def ejections_changed(self) -> None:
        self.ejections += 1

    def apply(self, *addresses: str) -> tuple[Endpoint, ...]:
        return self.balancer.apply(resolved(addresses))

    def at(self, address: str) -> Endpoint:
        return next(endpoint for endpoint in self.balancer.endpoints if endpoint.address == address)

    def pick(self, *avoid: Endpoint) -> Endpoint:
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
    it = Fixture("a", "b")
    policy = RoundRobin(new_rng(1))
    taken = [policy.over(it.balancer.endpoints, it.balancer.endpoints).pick().address for _ in range(10)]
    assert Counter(taken) == {"a": 5, "b": 5}


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
    removed = it.apply("b", "c")
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
    assert repr(it.balancer) == "<Balancer 1 of 2 endpoints healthy>"


def test_the_end_of_a_removed_endpoint_matters_to_nobody() -> None:
    it = Fixture("a", "b")
    removed = it.apply("b")[0]
    for _ in range(2):
        it.balancer.record(removed, Outcome.FAILURE, it.clock.monotonic())
    assert it.changes == []


def test_an_outlier_is_left_alone_and_taken_back() -> None:
    it = Fixture("a", "b", "c", "d")
    for endpoint in it.balancer.endpoints:
        for number in range(20):
            bad = endpoint.address == "a" and number % 2 == 0
            endpoint.begin()
            endpoint.end(Outcome.FAILURE if bad else Outcome.SUCCESS, failed=bad)
    it.clock.advance(10.0)
    assert "a" not in it.picks(30)
    assert it.at("a").outlier.ejected
    it.clock.advance(60.0)
    assert "a" in it.picks(30)
    assert it.ejections == 2


def test_panics_below_the_threshold() -> None:
    it = Fixture("a", "b", "c", panic_threshold=0.5)
    it.fail("a", "b")
    assert it.balancer.statistics().panicking
    assert set(it.picks(9)) == {"a", "b", "c"}


def test_a_healthy_minority_is_enough_by_default() -> None:
    it = Fixture("a", "b", "c")
    it.fail("a", "b")
    assert not it.balancer.statistics().panicking
    assert set(it.picks(9)) == {"c"}


def test_a_full_endpoint_leaves_calls_to_those_with_room() -> None:
    it = Fixture("a", "b", limit=1)
    it.at("a").begin()
    assert set(it.picks(6)) == {"b"}
    it.at("b").begin()
    with pytest.raises(SaturatedError):
        it.balancer.pick()


def admitted(it: Fixture, address: str) -> float:
    """The share of picks that the endpoint takes part in."""
    now = it.clock.monotonic()
    return sum(it.at(address).cost(now) < 1e6 for _ in range(2000)) / 2000


def test_whoever_joins_a_set_in_use_or_recovers_starts_slowly() -> None:
    it = Fixture("a", "b")
    assert admitted(it, "a") == 1.0
    it.apply("a", "b", "c")
    # Three standard deviations of 2,000 draws are at most 0.034.
    assert admitted(it, "c") == pytest.approx(0.1, abs=0.034)
    it.clock.advance(5.0)
    assert admitted(it, "c") == pytest.approx(0.5, abs=0.034)
    it.clock.advance(5.0)
    assert admitted(it, "c") == 1.0
    it.fail("a")
    it.clock.advance(1.0)
    while (probed := it.pick()).address != "a":
        pass
    it.balancer.record(probed, Outcome.SUCCESS, it.clock.monotonic())
    assert admitted(it, "a") == pytest.approx(0.1, abs=0.034)


def test_a_panic_lasts_until_half_are_well() -> None:
    it = Fixture("a", "b", "c", "d")
    it.fail("a", "b", "c", "d")
    assert it.balancer.statistics().panicking
    it.balancer.record(it.at("a"), Outcome.SUCCESS, it.clock.monotonic())
    assert set(it.picks(20)) == {"a", "b", "c", "d"}
    it.balancer.record(it.at("b"), Outcome.SUCCESS, it.clock.monotonic())
    assert set(it.picks(20)) == {"a", "b"}


def test_a_panic_does_not_wait_for_ever_for_the_others() -> None:
    it = Fixture("a", "b", "c")
    it.fail("a", "b", "c")
    it.balancer.record(it.at("a"), Outcome.SUCCESS, it.clock.monotonic())
    assert it.balancer.statistics().panicking
    it.clock.advance(10.0)
    for _ in range(20):
        endpoint = it.pick()
        if endpoint.address != "a":
            it.balancer.record(endpoint, Outcome.FAILURE, it.clock.monotonic())
    assert not it.balancer.statistics().panicking
    assert set(it.picks(10)) == {"a"}


def test_an_update_moves_weights_and_zones_but_keeps_what_was_learned() -> None:
    it = Fixture("a")
    known = it.at("a")
    it.balancer.apply([ResolvedEndpoint("a", zone="eu-1", weight=3.0)])
    assert it.at("a") is known
    assert (known.zone, known.weight) == ("eu-1", 3.0)
