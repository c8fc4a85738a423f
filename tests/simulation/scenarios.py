"""What goes wrong in fleets, as experiments: each runs in virtual time and answers with what the callers noticed.

Nothing in the channels' options is made for a scenario: tests and benchmarks pass the defaults, but for the policy and
whether there are retries.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import grpc

from libs.mesh.options import MeshOptions
from libs.testing.simulation.behaviour import Answering, Behaviour, Failing, Refusing, Warming
from libs.testing.simulation.latency import LogNormal, Normal
from libs.testing.simulation.server import Capacity, SimulatedServer
from libs.testing.simulation.workload import Recording, Workload
from tests.simulation.world import World

QUICK: Final = Answering(LogNormal(0.05, 0.3))
"""A healthy backend: 50 ms in the middle, 100 ms at the 99th percentile."""
GONE: Final = Refusing()
BROWN_OUT: Final = Answering(LogNormal(0.96, 0.3))
"""Ten times as slow as it should be, so that a queue fills up."""


RETRY_TIMEOUTS: Final[Mapping[str, object]] = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.02s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "DEADLINE_EXCEEDED"],
            },
        }
    ]
}
"""A service config that also retries what has timed out, which is what turns an overload into a storm."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the callers noticed."""

    calls: int
    failures: int
    success: float
    """Share of the calls."""
    p50_ms: float
    p99_ms: float
    p999_ms: float
    requests: Mapping[str, int]
    """By backend."""

    @classmethod
    def of(cls, recording: Recording, world: World) -> "Result":
        """Sum a run up."""
        p50, p99, p999 = (1000 * recording.percentile(share) for share in (0.5, 0.99, 0.999))
        return cls(recording.calls, recording.failures, recording.success(), p50, p99, p999, dict(world.requests()))

    @property
    def spread(self) -> float:
        """The busiest backend's requests over the mean; 1 is perfectly even."""
        return max(self.requests.values()) * len(self.requests) / sum(self.requests.values())


async def slow_backend(seed: int, options: MeshOptions, seconds: float = 60.0) -> Result:
    """One of 11 backends takes 2 s instead of 167 ms for the middle half of the time; calls have 1 s.

    linkerd's experiment ("Beyond Round Robin", 2016), at 1000 calls a second from one client.
    """
    world = World(seed)
    well = Answering(Normal(0.167, 0.005))
    servers = [world.add(f"backend-{number}:1", well) for number in range(11)]
    _ill_in_the_middle(servers[0], Answering(Normal(2.0, 0.005)), seconds)
    return await _run(world, options, Workload(1000, seconds))


async def fast_failing(seed: int, options: MeshOptions, seconds: float = 60.0) -> Result:
    """One of 10 backends fails within 1 ms for the middle half of the time: to a naive measure it is the quickest."""
    world = World(seed)
    servers = [world.add(f"backend-{number}:1", QUICK) for number in range(10)]
    _ill_in_the_middle(servers[0], Failing(grpc.StatusCode.INTERNAL, 0.001), seconds)
    return await _run(world, options, Workload(500, seconds))


async def flapping(seed: int, options: MeshOptions, seconds: float = 60.0, period: float = 2.0) -> Result:
    """One of 10 backends is gone for one `period`, well for the next, and so on to the end."""
    world = World(seed)
    servers = [world.add(f"backend-{number}:1", QUICK) for number in range(10)]
    behaviours: tuple[Behaviour, Behaviour] = (GONE, QUICK)
    for turn in range(1, int(seconds / period)):
        servers[0].at(turn * period, behaviours[(turn + 1) % 2])
    return await _run(world, options, Workload(500, seconds))


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What a backend that joins cold did to the callers."""

    joined: Result
    """Calls from its joining on."""
    early_share: float
    """Its share of the requests in the first 5 s, relative to a fair share."""
    late_share: float
    """Likewise in the last 5 s, when it is warm."""


async def cold_start(seed: int, options: MeshOptions, seconds: float = 60.0) -> ColdStart:
    """A tenth backend joins; until it has had 200 requests, but for 10 s at most, it takes 1 s instead of 50 ms."""
    world = World(seed)
    for number in range(9):
        world.add(f"backend-{number}:1", QUICK)
    async with world.clients(4, options) as clients:
        await world.offer(Workload(500, 5.0, timeout=3.0), clients)
        before = world.requests()
        cold = world.add("cold:1", Warming(Normal(1.0, 0.05), QUICK.latency, seconds=10.0, requests=200))
        recording = await world.offer(Workload(500, seconds, timeout=3.0), clients)
    result = Result.of(recording, world)
    requests = {address: count - before.get(address, 0) for address, count in result.requests.items()}
    fair = 500 * 5 / 10
    early = sum(cold.per_second[second] for second in range(5)) / fair
    late = sum(cold.per_second[second] for second in range(int(seconds) - 5, int(seconds))) / fair
    return ColdStart(replace(result, requests=requests), early, late)


@dataclass(frozen=True, slots=True)
class ZoneLoss:
    """What the loss of one of three zones did to everybody."""

    whole: Result
    local_share: float
    """Requests to the zone's backends over calls by its clients, before it was lost."""
    busiest: float
    """The most requests that a surviving backend had in a second, relative to what it can do."""
    shed: int
    """Requests that survivors refused for want of capacity."""
    success_while_lost: float


async def zone_loss(
    seed: int, options: Mapping[str, MeshOptions], outage: Behaviour = GONE, seconds: float = 60.0
) -> ZoneLoss:
    """Three zones of four backends and one client each; zone `a` is ill for the middle half of the time.

    Each backend can do 100 requests a second, each client makes 200 calls a second: 50 a backend while all is well,
    75 while one zone is gone.

    Args:
        seed: decides everything that is random.
        options: the clients' by zone: `a`, `b` and `c`.
        outage: what the zone's backends do meanwhile.
        seconds: how long calls are made.
    """
    world = World(seed)
    zones = ("a", "b", "c")
    capacity = Capacity(workers=5, queue=50)
    for zone in zones:
        for number in range(4):
            server = world.add(f"{zone}{number}:1", Answering(Normal(0.05, 0.005)), zone, capacity)
            if zone == "a":
                _ill_in_the_middle(server, outage, seconds)
    recordings = await asyncio.gather(*(_zone_client(world, zone, options[zone], seconds) for zone in zones))
    stays = ("a0:1", "a1:1", "a2:1", "a3:1")
    quarter = int(seconds / 4)
    local = sum(world.servers[address].per_second[second] for address in stays for second in range(quarter))
    survivors = [server for address, server in world.servers.items() if address not in stays]
    busiest = max(max(server.per_second.values()) for server in survivors) / 100
    shed = sum(server.statistics().shed for server in survivors)
    lost = min(recording.success(seconds / 4, 3 * seconds / 4) for recording in recordings)
    return ZoneLoss(Result.of(recordings[0], world), local / (200 * quarter), busiest, shed, lost)


async def _zone_client(world: World, zone: str, options: MeshOptions, seconds: float) -> Recording:
    async with world.clients(1, options, zone) as clients:
        return await world.offer(Workload(200, seconds, poisson=False), clients)


@dataclass(frozen=True, slots=True)
class RetryStorm:
    """Whether the fleet came back after an outage, and what its clients' retries added to it."""

    whole: Result
    load: float
    """Requests over calls, in the worst ten seconds."""
    peak: float
    """Requests over calls, in the worst second."""
    recovery_s: float
    """Seconds from the outage's end until 99% of the calls made in every half second succeed."""


async def retry_storm(
    seed: int,
    options: MeshOptions,
    outage: Behaviour = BROWN_OUT,
    seconds: float = 60.0,
    lasting: float = 10.0,
) -> RetryStorm:
    """Ten backends that can do 1000 requests a second are all ill for `lasting` seconds, at 600 calls a second.

    Backends refuse with UNAVAILABLE what they cannot queue, and work off what nobody waits for any more. Where clients
    also retry what has timed out, retries without a budget keep the backends overloaded after the outage is over: a
    metastable failure (Bronson et al., HotOS 2021).

    Args:
        seed: decides everything that is random.
        options: the clients'.
        outage: what the backends do meanwhile.
        seconds: how long calls are made; the outage begins after a quarter.
        lasting: seconds that the outage lasts.
    """
    world = World(seed)
    well = Answering(LogNormal(0.096, 0.3))
    start = seconds / 4
    for number in range(10):
        server = world.add(f"backend-{number}:1", well, capacity=Capacity(workers=10, queue=100))
        server.at(start, outage)
        server.at(start + lasting, well)
    rate = 600.0
    async with world.clients(2, options) as clients:
        recording = await world.offer(Workload(rate, seconds, poisson=False), clients)
    requests = [sum(server.per_second[second] for server in world.servers.values()) for second in range(int(seconds))]
    spans = [sum(requests[begin : begin + 10]) for begin in range(len(requests) - 9)]
    recovery = recording.recovered(start + lasting, 0.99)
    return RetryStorm(Result.of(recording, world), max(spans) / (10 * rate), max(requests) / rate, recovery)


async def rolling_restart(
    seed: int, options: MeshOptions, pause: float = 4.0, drain: float = 3.0, lag: float = 1.0
) -> Result:
    """Each of 6 backends is replaced in turn, at another address.

    The new one joins, the old one leaves the resolver's set, answers for `drain` seconds more and is gone.

    Args:
        seed: decides everything that is random.
        options: the clients'.
        pause: seconds between two replacements.
        drain: seconds that a backend still answers after it left the set; 0 kills it at once.
        lag: seconds until clients see a change of the set.
    """
    world = World(seed, lag)
    for number in range(6):
        world.add(f"old-{number}:1", QUICK)
    async with world.clients(3, options) as clients, asyncio.TaskGroup() as group:
        group.create_task(_replace_all(world, pause, drain))
        recording = await world.offer(Workload(300, 8 * pause), clients)
    return Result.of(recording, world)


async def _replace_all(world: World, pause: float, drain: float) -> None:
    for number in range(6):
        await world.clock.sleep(pause)
        world.add(f"new-{number}:1", QUICK)
        world.registry.remove(f"old-{number}:1")
        world.servers[f"old-{number}:1"].at(drain, GONE)


async def many_clients(seed: int, options: MeshOptions, seconds: float = 30.0) -> Result:
    """50 clients share 20 backends, each making but 4 calls a second: nobody sees enough to know much."""
    world = World(seed)
    for number in range(20):
        world.add(f"backend-{number}:1", QUICK)
    return await _run(world, options, Workload(200, seconds), clients=50)


async def _run(world: World, options: MeshOptions, workload: Workload, clients: int = 1) -> Result:
    async with world.clients(clients, options) as made:
        recording = await world.offer(workload, made)
    return Result.of(recording, world)


def _ill_in_the_middle(server: SimulatedServer, behaviour: Behaviour, seconds: float) -> None:
    server.at(seconds / 4, behaviour)
    server.at(3 * seconds / 4, server.behaviour)
