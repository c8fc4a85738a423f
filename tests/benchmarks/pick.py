"""What one pick costs, by policy and number of endpoints.

    python -m tests.benchmarks.pick

The endpoints answer as an `Endpoint` does: their cost is their own measure's, divided by their slow start. Every pick
is timed with the clock that the channel uses. The least of many short rounds is taken: the others had company.
"""

import time
from collections.abc import Sequence
from typing import Final

from libs.core.clock import Clock, SystemClock
from libs.core.rng import new_rng
from libs.mesh.breaker import Outcome
from libs.mesh.load.base import Load
from libs.mesh.load.slow_start import SlowStart, SlowStartOptions
from libs.mesh.picker.base import E, Policy
from libs.mesh.picker.policies import POLICIES, PolicyOptions, make_policy

_SIZES: Final = (10, 100, 1000)
_ZONES: Final = ("a", "b", "c")


class Busy:
    """An endpoint with something in flight and a history."""

    __slots__ = ("_load", "_start", "address", "in_flight", "weight", "zone")

    def __init__(self, number: int, load: Load, weight: float) -> None:
        self.address: Final = f"10.0.{number // 256}.{number % 256}:50051"
        self.zone: Final = _ZONES[number % len(_ZONES)]
        self.weight: Final = weight
        self.in_flight = 1 + number % 3
        self._load: Final = load
        self._start: Final = SlowStart(SlowStartOptions(), new_rng(number))

    def cost(self, now: float) -> float:
        """As an endpoint's."""
        cost = self._load.cost(self.in_flight, now)
        return cost if self._start.admits(now) else cost * 1e9


def busy_endpoints(policy: Policy, number: int, clock: Clock, weighted: bool = False) -> list[Busy]:
    """Endpoints that have answered, each in its own time, with one to three attempts in flight."""
    endpoints = []
    for index in range(number):
        load = policy.new_load()
        for _ in range(10):
            load.observe(0.010 + 0.001 * (index % 7), Outcome.SUCCESS, clock.monotonic())
        endpoints.append(Busy(index, load, 1.0 + index % 4 if weighted else 1.0))
    return endpoints


def pick_us(policy: Policy, endpoints: Sequence[E], picks: int = 1_000, rounds: int = 60) -> float:
    """Microseconds that a pick by `policy` takes, all endpoints being healthy: the least of many short rounds.

    Args:
        policy: what picks; every pick has a key of its own.
        endpoints: at least one.
        picks: in a round.
        rounds: at least one.
    """
    pick = policy.over(endpoints, endpoints).pick
    keys = [f"conversation-{number}" for number in range(picks)]
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        for key in keys:
            pick((), key)
        best = min(best, time.perf_counter() - begun)
    return best / picks * 1e6


def main() -> None:
    """Print a table."""
    clock = SystemClock()
    print(f"{'us per pick':<24}" + "".join(f"{size:>8}" for size in _SIZES))
    for zone in ("", "a"):
        for name in POLICIES:
            for weighted in (False, True):
                policy = make_policy(name, PolicyOptions(zone=zone), clock, new_rng(1))
                figures = [pick_us(policy, busy_endpoints(policy, size, clock, weighted)) for size in _SIZES]
                label = name + (" weighted" if weighted else "") + (" zone" if zone else "")
                print(f"{label:<24}" + "".join(f"{figure:8.2f}" for figure in figures))


if __name__ == "__main__":
    main()
