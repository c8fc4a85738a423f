"""Calls stay in the zone they come from while it is well and has room.

How much stays follows Envoy's priority levels with overprovisioning: a zone of which 1 in 1.4 is well still carries
everything. That a busy zone spills before it is ill is the idea of linkerd's HAZL (high availability zonal load
balancing); here it is decided pick by pick, on costs, so that the overflow spills and not the zone as a whole.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Generic

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.load.base import Load
from libs.mesh.picker.base import Candidate, E, Picker, Policy

# Picks for which it may be assumed that a remote endpoint costs what the last one did: a second pick for every pick
# would double its price. Only staying is decided on old numbers, never leaving.
_TRUST: Final = 8


@dataclass(frozen=True, slots=True)
class ZoneOptions:
    """When calls leave their zone.

    Attributes:
        overprovisioning: the local zone keeps this times its healthy part of the calls, at most all; at least 1.
        spill_cost: how many times dearer than a remote endpoint a local one may be, at least 1. What the distance
            adds to a latency shows in a measured cost and comes on top.
    """

    overprovisioning: float = 1.4
    spill_cost: float = 2.0

    def __post_init__(self) -> None:
        if not self.overprovisioning >= 1:
            raise ValueError(f"overprovisioning must be at least 1, got {self.overprovisioning}")
        if not self.spill_cost >= 1:
            raise ValueError(f"spill_cost must be at least 1, got {self.spill_cost}")


class ZonePicker(Generic[E]):
    """Asks one picker for the local zone and one for the others, and takes the answer that fits."""

    __slots__ = ("_clock", "_local", "_random", "_remote", "_remote_cost", "_share", "_spill_cost", "_trust", "_zone")

    def __init__(
        self, zone: str, local: Picker[E], remote: Picker[E], share: float, spill_cost: float, clock: Clock, rng: Rng
    ) -> None:
        self._zone: Final = zone
        self._local: Final = local
        self._remote: Final = remote
        self._share: Final = share
        self._spill_cost: Final = spill_cost
        self._clock: Final = clock
        self._random: Final = rng.random
        self._remote_cost = 0.0
        self._trust = 0

    def pick(self, avoid: Collection[E] = (), key: str = "") -> E:
        """A local endpoint, or a remote one if the local zone is ill, full, or to be avoided."""
        # A retry goes elsewhere: what failed here may be the zone.
        if avoid or (self._share < 1.0 and self._random() >= self._share):
            return self._unless_avoided(self._remote, self._local, avoid, key)
        local = self._local.pick(avoid, key)
        cost = local.cost(self._clock.monotonic())
        if local.in_flight:
            # The more an endpoint can take, the less what is in flight says. An idle one has room whatever its weight.
            cost /= local.weight
        if self._trust and cost <= self._remote_cost:
            self._trust -= 1
            return local
        return self._cheaper(local, cost, key)

    def _cheaper(self, local: E, cost: float, key: str) -> E:
        remote = self._remote.pick((), key)
        self._remote_cost = self._spill_cost * remote.cost(self._clock.monotonic())
        if local.in_flight:
            self._remote_cost /= remote.weight
        self._trust = _TRUST
        return remote if cost > self._remote_cost else local

    @staticmethod
    def _unless_avoided(first: Picker[E], second: Picker[E], avoid: Collection[E], key: str) -> E:
        picked = first.pick(avoid, key)
        return second.pick(avoid, key) if picked in avoid else picked

    def __repr__(self) -> str:
        return f"<ZonePicker {self._share:.0%} in {self._zone}>"


class ZonePreference:
    """A policy around another that prefers the endpoints of one zone.

    Each side of the border has a policy of its own from the factory, and so has the whole, for when there is no
    border: positions and rings of one are not disturbed by the others, and outlive snapshots.

    Args:
        inner: makes the policy for the endpoints of either side.
        local: the zone that calls come from; empty for no preference.
        options: when calls leave it.
        clock: what costs are read at.
        rng: which calls leave it while a part of it is ill.
    """

    __slots__ = ("_clock", "_here", "_local", "_options", "_rng", "_there", "_whole")

    def __init__(self, inner: Callable[[], Policy], local: str, options: ZoneOptions, clock: Clock, rng: Rng) -> None:
        self._here: Final = inner()
        self._there: Final = inner()
        self._whole: Final = inner()
        self._local: Final = local
        self._options: Final = options
        self._clock: Final = clock
        self._rng: Final = rng

    def over(self, healthy: Sequence[E], everyone: Sequence[E]) -> Picker[E]:
        """A picker that prefers the local ones of the healthy; over all of them alike if none or all are local."""
        here = [endpoint for endpoint in healthy if endpoint.zone == self._local]
        if not self._local or not here or len(here) == len(healthy):
            return self._whole.over(healthy, everyone)
        there = [endpoint for endpoint in healthy if endpoint.zone != self._local]
        all_here = [endpoint for endpoint in everyone if endpoint.zone == self._local]
        all_there = [endpoint for endpoint in everyone if endpoint.zone != self._local]
        share = self._share(_weight(here) / _weight(all_here), _weight(there) / _weight(all_there))
        local, remote = self._here.over(here, all_here), self._there.over(there, all_there)
        return ZonePicker(self._local, local, remote, share, self._options.spill_cost, self._clock, self._rng)

    def new_load(self) -> Load:
        """The inner policy's measure."""
        return self._whole.new_load()

    def _share(self, well_here: float, well_there: float) -> float:
        """Envoy's load of the first of two priority levels: scaled up if both together do not carry everything."""
        here = min(1.0, self._options.overprovisioning * well_here)
        there = min(1.0, self._options.overprovisioning * well_there)
        return here / min(1.0, here + there)

    def __repr__(self) -> str:
        return f"<ZonePreference for {self._local or 'nowhere'} around {self._whole!r}>"


def _weight(endpoints: Sequence[Candidate]) -> float:
    return sum(endpoint.weight for endpoint in endpoints)
