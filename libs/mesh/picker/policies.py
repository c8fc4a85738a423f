"""The policies by name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.load.peak_ewma import PeakEwma, PeakEwmaOptions
from libs.mesh.load.pending import PendingLoad
from libs.mesh.picker.base import Policy
from libs.mesh.picker.p2c import P2C
from libs.mesh.picker.ring_hash import RingHash, RingHashOptions
from libs.mesh.picker.round_robin import RoundRobin
from libs.mesh.picker.zone import ZoneOptions, ZonePreference

PolicyName = Literal["round_robin", "least_request", "peak_ewma", "ring_hash"]
"""`round_robin` ignores load. `least_request` goes where less is in flight, `peak_ewma` where an answer comes sooner.

`ring_hash` sends calls with the same key to the same endpoint, for caches that live there.
"""

POLICIES: Final[tuple[PolicyName, ...]] = get_args(PolicyName)
"""All names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """What the policies can be told; each reads its own part.

    Attributes:
        peak_ewma: how latencies are remembered.
        ring_hash: how keys are spread.
        zone: where this process runs: endpoints of the same zone are preferred; empty for no preference.
        zones: when calls leave the zone.
    """

    peak_ewma: PeakEwmaOptions = field(default_factory=PeakEwmaOptions)
    ring_hash: RingHashOptions = field(default_factory=RingHashOptions)
    zone: str = ""
    zones: ZoneOptions = field(default_factory=ZoneOptions)


def make_policy(name: PolicyName, options: PolicyOptions, clock: Clock, rng: Rng) -> Policy:
    """The policy of that name, preferring `options.zone` if there is one.

    Raises:
        ValueError: if there is no policy of that name; names all there are.
    """
    if name not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}; got {name!r}")
    makers: dict[PolicyName, Callable[[], Policy]] = {
        "round_robin": lambda: RoundRobin(rng),
        "least_request": lambda: P2C(PendingLoad, clock, rng),
        "peak_ewma": lambda: P2C(lambda: PeakEwma(options.peak_ewma), clock, rng),
        "ring_hash": lambda: RingHash(options.ring_hash, rng),
    }
    if options.zone:
        return ZonePreference(makers[name], options.zone, options.zones, clock, rng)
    return makers[name]()
