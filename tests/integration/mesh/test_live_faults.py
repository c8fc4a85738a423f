"""Real servers are killed, stopped and cut off under load: what callers notice, and what the channel makes of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import grpc
import pytest

from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.breaker import BreakerOptions, State
from libs.mesh.budget import BudgetOptions
from libs.mesh.channel import MeshChannel
from libs.mesh.endpoint import EndpointStatistics
from libs.mesh.options import MeshOptions
from tests.integration.mesh.faulty_backend import UNARY, Backend, BlackHoled, Faulty, Killed, Proxy, Refused, Stopped

CALLERS: Final = 6
PATIENCE: Final = 20.0
"""Seconds after which a condition that should come true never will."""
SLACK: Final = 1.0
"""Seconds by which an end may be late because the machine is busy."""

# Breakers that judge and forgive quickly, so that the tests are short. The policy is the default one as it is.
OPTIONS: Final = MeshOptions(
    service_config={
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.01s",
                    "maxBackoff": "0.1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    },
    budget=BudgetOptions(floor=1000),
    breaker=BreakerOptions(failures=2, backoff=Backoff(0.2, 0.5)),
)


@dataclass
class Load:
    """Callers that call again as soon as they are answered, and how their calls ended."""

    timeout: float
    answered: int = 0
    lost: list[tuple[grpc.StatusCode, float]] = field(default_factory=list)
    """Each failed call's code and the seconds it took."""
    longest: float = 0.0
    stopping: bool = False
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, method: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]") -> None:
        clock = SystemClock()
        while not self.stopping:
            begun = clock.monotonic()
            try:
                assert await method(b"x", timeout=self.timeout) == b"x"
                self.answered += 1
            except grpc.aio.AioRpcError as error:
                self.lost.append((error.code(), clock.monotonic() - begun))
            self.longest = max(self.longest, clock.monotonic() - begun)
            self._ended.set()
            self._ended = asyncio.Event()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until it is so; looked at after every call."""
        async with asyncio.timeout(PATIENCE):
            while not reached():
                await self._ended.wait()

    async def answers(self, more: int) -> None:
        """Wait for so many more."""
        wanted = self.answered + more
        await self.until(lambda: self.answered >= wanted)


@asynccontextmanager
async def load_on(channel: MeshChannel, timeout: float) -> AsyncIterator[Load]:
    """Callers at work until the block ends."""
    load = Load(timeout)
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(UNARY)
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(load.call(method))
        try:
            yield load
        finally:
            load.stopping = True


@pytest.fixture(scope="module")
def sound() -> Iterator[tuple[str, str]]:
    """Two replicas that nothing befalls."""
    with Backend() as first, Backend() as second:
        yield first.address, second.address


@pytest.fixture
def backend() -> Iterator[Backend]:
    """One that something does."""
    with Backend() as started:
        yield started


@pytest.fixture
async def proxy(backend: Backend) -> AsyncIterator[Proxy]:
    """The way to it."""
    async with Proxy(backend.address) as listening:
        yield listening


def over(*addresses: str) -> str:
    return f"static:///{','.join(addresses)}"


def statistics(channel: MeshChannel, address: str) -> EndpointStatistics:
    return next(endpoint for endpoint in channel.statistics().endpoints if endpoint.address == address)


async def survive(fault: Faulty, sound: tuple[str, str], timeout: float) -> Load:
    """Let the fault come and go under load; whatever it is, its replica is left alone and then found again."""
    async with (
        MeshChannel(over(fault.address, *sound), OPTIONS, rng=new_rng(1)) as channel,
        load_on(channel, timeout) as load,
    ):

        def bad() -> EndpointStatistics:
            return statistics(channel, fault.address)

        await load.until(lambda: bad().attempts > 10)
        await fault.fail()
        await load.until(lambda: bad().breaker.state is State.OPEN)
        before = bad()
        await load.answers(more=300)
        after = bad()
        # One probe each time its breaker may try again, and nothing else.
        probes = after.breaker.times_opened - before.breaker.times_opened + 1
        assert after.attempts - before.attempts <= probes
        await fault.recover()
        await load.until(lambda: bad().breaker.state is State.CLOSED)
        back = bad()
        await load.until(lambda: bad().attempts - bad().failures >= back.attempts - back.failures + 10)
    assert load.longest <= timeout + SLACK
    return load


async def test_nobody_notices_a_killed_server(backend: Backend, sound: tuple[str, str]) -> None:
    load = await survive(Killed(backend), sound, timeout=5.0)
    assert load.lost == []


async def test_nobody_notices_a_server_that_cannot_be_reached(proxy: Proxy, sound: tuple[str, str]) -> None:
    load = await survive(Refused(proxy), sound, timeout=5.0)
    assert load.lost == []


async def test_a_stopped_server_costs_only_the_calls_it_holds(backend: Backend, sound: tuple[str, str]) -> None:
    assert_only_out_of_time(await survive(Stopped(backend), sound, timeout=0.5))


async def test_a_black_hole_costs_only_the_calls_it_swallows(proxy: Proxy, sound: tuple[str, str]) -> None:
    assert_only_out_of_time(await survive(BlackHoled(proxy), sound, timeout=0.5))


def assert_only_out_of_time(load: Load) -> None:
    """What failed had used all its time: a call whose answer may still come is not sent twice."""
    assert {code for code, _ in load.lost} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert min(seconds for _, seconds in load.lost) >= 0.9 * load.timeout


async def test_nobody_notices_broken_connections(backend: Backend, proxy: Proxy, sound: tuple[str, str]) -> None:
    async with (
        MeshChannel(over(proxy.address, *sound), OPTIONS, rng=new_rng(1)) as channel,
        load_on(channel, timeout=5.0) as load,
    ):
        for _ in range(3):
            await load.until(lambda: statistics(channel, proxy.address).in_flight > 0)
            proxy.reset()
            await load.answers(more=50)
        failures = statistics(channel, proxy.address).failures
    assert load.lost == []
    assert failures > 0


async def test_when_all_are_gone_callers_are_told_at_once_and_served_again_later(proxy: Proxy) -> None:
    async with MeshChannel(over(proxy.address), OPTIONS) as channel, load_on(channel, timeout=5.0) as load:
        await load.answers(more=20)
        proxy.refuse()
        await load.until(lambda: len(load.lost) >= 20)
        await proxy.listen()
        await load.answers(more=100)
        await load.until(lambda: channel.statistics().balancer.healthy == 1)
    assert {code for code, _ in load.lost} == {grpc.StatusCode.UNAVAILABLE}
    assert load.longest <= load.timeout / 2
