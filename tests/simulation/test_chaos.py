"""Everything at once, drawn at random: what must hold whatever happens."""

import asyncio
from collections.abc import Mapping

import grpc
import pytest

from libs.core.rng import Rng, new_rng
from libs.mesh.limit.gradient2 import Gradient2Options
from libs.mesh.options import MeshOptions
from libs.mesh.picker.policies import POLICIES
from libs.mesh.resolver.base import ResolvedEndpoint
from libs.testing.simulation.behaviour import Answering, Behaviour, Failing, Refusing, Silent
from libs.testing.simulation.latency import LogNormal, Normal
from libs.testing.simulation.server import Capacity
from libs.testing.virtual_loop import run_virtual
from tests.simulation.world import Client, World

WELL = Answering(LogNormal(0.05, 0.3))
ILLS: tuple[Behaviour, ...] = (
    WELL,
    Answering(Normal(3.0, 0.5)),
    Failing(grpc.StatusCode.INTERNAL, 0.001),
    Failing(grpc.StatusCode.UNAVAILABLE, 0.02, share=0.5, well=WELL.latency),
    Failing(grpc.StatusCode.UNAVAILABLE, 0.01, trailing=(("grpc-retry-pushback-ms", "30"),)),
    Failing(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.001),
    Silent(),
    Refusing(),
)
ADDRESSES = tuple(f"backend-{number}:1" for number in range(8))
EPSILON = 1e-6


class Caller:
    """Makes calls of either kind, gives some of them up, and checks that none outlives its deadline."""

    def __init__(self, world: World, client: Client, rng: Rng) -> None:
        self._world = world
        self._client = client
        self._rng = rng
        self._stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = client.channel.unary_stream("/s/Stream")
        self.ended: dict[grpc.StatusCode, int] = {}

    async def call(self) -> None:
        """One call from its begin to its end."""
        timeout = self._rng.uniform(0.01, 2.0)
        patience = self._rng.uniform(0.0, 2.0) if self._rng.random() < 0.1 else 60.0
        begun = self._world.clock.monotonic()
        code = await (self._read(timeout, patience) if self._rng.random() < 0.3 else self._ask(timeout, patience))
        assert self._world.clock.monotonic() - begun <= min(timeout, patience) + EPSILON
        self.ended[code] = self.ended.get(code, 0) + 1

    async def _ask(self, timeout: float, patience: float) -> grpc.StatusCode:
        call = self._client.call(timeout)
        try:
            async with asyncio.timeout(patience):
                await call
        except TimeoutError:
            assert call.cancelled()
        except grpc.aio.AioRpcError as error:
            return error.code()
        return await call.code()

    async def _read(self, timeout: float, patience: float) -> grpc.StatusCode:
        call = self._stream(b"", timeout=timeout)
        try:
            async with asyncio.timeout(patience):
                async for _ in call:
                    pass
        except TimeoutError:
            assert call.cancelled()
        except grpc.aio.AioRpcError as error:
            return error.code()
        return await call.code()


async def _disturb(world: World, rng: Rng, seconds: int) -> None:
    for _ in range(seconds * 2):
        await world.clock.sleep(0.5)
        server = world.servers[ADDRESSES[rng.randrange(len(ADDRESSES))]]
        server.behaviour = ILLS[rng.randrange(len(ILLS))]
        if rng.random() < 0.3:
            listed = [address for address in ADDRESSES if rng.random() < 0.7]
            world.registry.set(map(ResolvedEndpoint, listed))


async def _call_again_and_again(world: World, caller: Caller, rng: Rng, seconds: float) -> None:
    end = world.clock.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        while world.clock.monotonic() < end:
            group.create_task(caller.call())
            await world.clock.sleep(rng.uniform(0.0, 0.02))


async def _chaos(seed: int, options: MeshOptions) -> None:
    rng = new_rng(seed)
    world = World(seed, lag=0.2)
    for number, address in enumerate(ADDRESSES):
        world.add(address, WELL, capacity=Capacity(workers=4, queue=20) if number % 2 else None)
    async with world.clients(1, options) as clients:
        caller = Caller(world, clients[0], rng)
        async with asyncio.TaskGroup() as group:
            group.create_task(_disturb(world, rng, 20))
            group.create_task(_call_again_and_again(world, caller, rng, 20.0))
        assert caller.ended.get(grpc.StatusCode.OK, 0) > 200, "the chaos is to be survivable"
        for server in world.servers.values():
            server.behaviour = WELL
        world.registry.set(map(ResolvedEndpoint, ADDRESSES))
        await _heals(world, clients[0])


async def _heals(world: World, client: Client) -> None:
    # A breaker that opened often waits for up to 90 s, an outlier for 5 min; somebody has to call meanwhile.
    failed_at: list[int] = []
    for tenth in range(4000):
        await world.clock.sleep(0.1)
        try:
            await client.call(5.0)
        except grpc.aio.AioRpcError:
            failed_at.append(tenth)
    # What was begun while it was slow takes its time.
    assert not failed_at or max(failed_at) < 100
    counts = client.channel.statistics()
    assert len(counts.endpoints) == counts.balancer.endpoints == counts.balancer.healthy == len(ADDRESSES)
    assert [endpoint.in_flight for endpoint in counts.endpoints] == [0] * len(ADDRESSES)
    assert [server.statistics().in_flight for server in world.servers.values()] == [0] * len(ADDRESSES)


def _config(**policy: object) -> Mapping[str, object]:
    return {"methodConfig": [{"name": [{}], **policy}]}


HEDGING = _config(
    hedgingPolicy={"maxAttempts": 3, "hedgingDelay": "0.08s", "nonFatalStatusCodes": ["UNAVAILABLE", "INTERNAL"]}
)
IMPATIENT = _config(
    retryPolicy={
        "maxAttempts": 4,
        "initialBackoff": "0.02s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "perAttemptRecvTimeout": "0.3s",
        "retryableStatusCodes": ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"],
    }
)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "options",
    [
        *(pytest.param(MeshOptions(policy=policy), id=policy) for policy in POLICIES),
        pytest.param(MeshOptions(service_config=HEDGING), id="hedging"),
        pytest.param(MeshOptions(service_config=IMPATIENT), id="per-attempt timeouts"),
        pytest.param(MeshOptions(limit=Gradient2Options()), id="limits"),
        pytest.param(MeshOptions(panic_threshold=0.5), id="early panic"),
    ],
)
def test_no_call_outlives_its_deadline_nothing_leaks_and_everything_heals(options: MeshOptions, seed: int) -> None:
    run_virtual(_chaos(seed, options))
