from collections import Counter
from collections.abc import Sequence
from math import sqrt

import pytest

from libs.core.rng import new_rng
from libs.mesh.load.pending import PendingLoad
from libs.mesh.picker.p2c import P2C
from libs.mesh.picker.policies import POLICIES, PolicyName, PolicyOptions, make_policy
from libs.mesh.picker.round_robin import RoundRobin
from libs.mesh.picker.zone import ZoneOptions, ZonePreference
from libs.testing.clock import ManualClock


class Fake:
    def __init__(self, address: str, zone: str, weight: float = 1.0) -> None:
        self.address = address
        self.zone = zone
        self.weight = weight
        self.in_flight = 0
        self.price = 1.0

    def cost(self, now: float) -> float:
        return self.price * (self.in_flight + 1)


def zones(**sizes: int) -> list[Fake]:
    return [Fake(f"{zone}{index}", zone) for zone, size in sizes.items() for index in range(size)]


def preference(local: str = "a", **fields: float) -> ZonePreference:
    clock, rng = ManualClock(), new_rng(1)
    return ZonePreference(lambda: P2C(PendingLoad, clock, rng), local, ZoneOptions(**fields), clock, rng)


def picks(policy: ZonePreference, healthy: Sequence[Fake], everyone: Sequence[Fake], number: int) -> Counter[str]:
    picker = policy.over(healthy, everyone)
    return Counter(picker.pick().zone for _ in range(number))


@pytest.mark.parametrize("fields", [{"overprovisioning": 0.9}, {"spill_cost": 0.5}])
def test_refuses_senseless_options(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(fields))} must"):
        ZoneOptions(**fields)


def test_calls_stay_in_a_zone_that_is_well() -> None:
    everyone = zones(a=3, b=6)
    assert picks(preference(), everyone, everyone, 200) == {"a": 200}


@pytest.mark.parametrize(("local", "sizes"), [("", {"a": 2, "b": 2}), ("c", {"a": 2, "b": 2})])
def test_without_local_endpoints_all_zones_are_alike(local: str, sizes: dict[str, int]) -> None:
    everyone = zones(**sizes)
    counts = picks(preference(local), everyone, everyone, 400)
    # Four sigma of independent draws.
    assert abs(counts["a"] - 200) < 4 * sqrt(400 / 4)


def test_when_all_local_endpoints_are_ill_the_others_carry_everything() -> None:
    everyone = zones(a=2, b=2)
    assert picks(preference(), everyone[2:], everyone, 50) == {"b": 50}


@pytest.mark.parametrize(
    ("well_here", "well_there", "share"),
    [
        (10, 10, 1.0),
        (8, 10, 1.0),  # 8 in 10 times 1.4 is more than all
        (5, 10, 0.7),
        (1, 10, 0.14),
        (2, 3, 0.4),  # 0.28 and 0.42 do not carry everything: scaled up, so that both bear the same excess
    ],
)
def test_an_ill_zone_hands_over_what_it_cannot_carry(well_here: int, well_there: int, share: float) -> None:
    everyone = zones(a=10, b=10)
    healthy = everyone[:well_here] + everyone[10 : 10 + well_there]
    counts = picks(preference(), healthy, everyone, 4000)
    assert abs(counts["a"] - 4000 * share) <= 4 * sqrt(4000 * share * (1 - share))


def test_a_full_zone_spills_pick_by_pick() -> None:
    # 100 attempts that do not end, 2 local endpoints, 4 remote ones. A local one is taken until it costs more than
    # twice a remote one: then local ones have about twice as much in flight as remote ones, so half of the whole.
    everyone = zones(a=2, b=4)
    picker = preference().over(everyone, everyone)
    taken: list[str] = []
    for _ in range(100):
        endpoint = picker.pick()
        endpoint.in_flight += 1
        taken.append(endpoint.zone)
    assert set(taken[:2]) == {"a"}
    assert 42 <= taken.count("a") <= 62
    # Not all at once: there is no long run of either zone.
    assert max(len(run) for run in "".join(taken[10:]).replace("ab", "a b").replace("ba", "b a").split()) <= 12


def test_weights_say_what_room_there_is() -> None:
    everyone = [Fake("a0", "a", 10.0), Fake("b0", "b", 1.0)]
    everyone[0].in_flight = 10
    assert picks(preference(), everyone, everyone, 20) == {"a": 20}
    everyone[0].in_flight = 30
    assert picks(preference(), everyone, everyone, 20) == {"b": 20}


def test_an_idle_endpoint_has_room_whatever_the_weights() -> None:
    everyone = [Fake("a0", "a", 1.0), Fake("b0", "b", 4.0)]
    assert picks(preference(), everyone, everyone, 20) == {"a": 20}


def test_a_remote_zone_that_became_cheap_is_noticed_within_a_few_picks() -> None:
    everyone = zones(a=1, b=1)
    everyone[0].price = everyone[1].price = 10.0
    picker = preference().over(everyone, everyone)
    assert picker.pick().zone == "a"
    everyone[1].price = 1.0
    assert "b" in {picker.pick().zone for _ in range(9)}


def test_a_call_that_failed_here_is_retried_there_if_there_is_no_other_here() -> None:
    everyone = zones(a=1, b=2)
    picker = preference().over(everyone, everyone)
    assert picker.pick([everyone[0]]).zone == "b"
    assert picker.pick(everyone) in everyone
    ill = preference().over([everyone[0], everyone[2]], [*everyone, Fake("a1", "a"), Fake("a2", "a")])
    assert all(ill.pick([everyone[2]]) is everyone[0] for _ in range(50))


def test_both_sides_keep_their_own_position() -> None:
    rng = new_rng(1)
    policy = ZonePreference(lambda: RoundRobin(rng), "a", ZoneOptions(), ManualClock(), rng)
    everyone = zones(a=2, b=2)
    taken: Counter[str] = Counter()
    for number in range(40):
        taken[policy.over(everyone, everyone).pick().address] += 1
        assert number or repr(policy).startswith("<ZonePreference for a around <RoundRobin")
    assert taken == {"a0": 20, "a1": 20}


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_can_prefer_a_zone(name: PolicyName) -> None:
    policy = make_policy(name, PolicyOptions(zone="a"), ManualClock(), new_rng(1))
    everyone = zones(a=3, b=3)
    picker = policy.over(everyone, everyone)
    assert {picker.pick(key=str(number)).zone for number in range(50)} == {"a"}
    assert repr(picker) == "<ZonePicker 100% in a>"
    assert policy.new_load().cost(0, 0.0) > 0
