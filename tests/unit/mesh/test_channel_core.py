"""What becomes of an endpoint that was picked and then not called."""

import asyncio

import grpc
import pytest

from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.breaker import BreakerOptions, State
from libs.mesh.calls.unary_unary import UnaryUnaryMethod
from libs.mesh.channel import MeshChannel
from libs.mesh.channel_core import ChannelCore
from libs.mesh.observer import SilentObserver
from libs.mesh.options import MeshOptions
from libs.mesh.resolver.base import ResolvedEndpoint
from libs.testing.clock import ManualClock

# Nobody listens on either: both are discarded by calls that wait for ready.
ADDRESSES = ("127.0.0.1:1", "127.0.0.1:2")


def core_with_a_probe_due(clock: ManualClock) -> ChannelCore:
    breaker = BreakerOptions(failures=1, backoff=Backoff(initial=1.0, maximum=1.0, jitter=0.0))
    core = ChannelCore(
        "static:///x",
        MeshOptions(breaker=breaker, policy="round_robin"),
        SilentObserver(),
        clock,
        new_rng(1),
        grpc.aio.insecure_channel,
    )
    core.apply([ResolvedEndpoint(address) for address in ADDRESSES])
    broken = core.endpoints[0]
    core.started(broken, "/test.Echo/Unary")
    core.finished(broken, grpc.StatusCode.UNAVAILABLE, clock.monotonic(), 10.0)
    assert broken.breaker.state is State.OPEN
    clock.advance(2.0)
    return core


async def close(core: ChannelCore) -> None:
    for endpoint in core.close():
        await endpoint.close(None)


async def test_a_probe_that_is_not_ready_is_given_back() -> None:
    clock = ManualClock()
    core = core_with_a_probe_due(clock)

    assert core.pick_ready(()) is None

    assert core.pick(()) is core.endpoints[0]
    # The second pick was the probe: its lease runs.
    assert core.endpoints[0].breaker.probe_at > clock.monotonic()
    await close(core)


async def test_a_probe_that_cannot_be_sent_is_given_back() -> None:
    clock = ManualClock()
    core = core_with_a_probe_due(clock)

    def bind(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
        raise ValueError("cannot be sent")

    method = UnaryUnaryMethod[bytes, bytes](core, "/test.Echo/Unary", bind)
    with pytest.raises(ValueError, match="cannot be sent"):
        method(b"x")

    assert core.endpoints[0].breaker.state is State.HALF_OPEN
    assert core.endpoints[0].breaker.probe_at == clock.monotonic()
    await close(core)


async def test_a_stream_that_broke_after_a_long_time_was_not_slow() -> None:
    clock = ManualClock()
    core = ChannelCore("static:///x", MeshOptions(), SilentObserver(), clock, new_rng(1), grpc.aio.insecure_channel)
    core.apply([ResolvedEndpoint(ADDRESSES[0])])
    endpoint = core.endpoints[0]
    started = clock.monotonic()
    core.started(endpoint, "/test.Echo/Down")
    core.observed(endpoint, 0.01, started + 0.01)
    clock.advance(1500.0)
    core.finished(endpoint, grpc.StatusCode.UNAVAILABLE, started, 3600.0, sampled=True)
    assert endpoint.cost(clock.monotonic()) > 1.0
    clock.advance(10.0)
    assert endpoint.cost(clock.monotonic()) < 0.02
    await close(core)


async def test_the_first_message_of_a_stream_that_probes_closes_the_breaker() -> None:
    clock = ManualClock()
    core = core_with_a_probe_due(clock)
    probed = core.pick(())
    assert probed is not None
    assert probed.breaker.state is State.HALF_OPEN
    core.started(probed, "/test.Echo/Down")
    clock.advance(0.01)
    core.observed(probed, 0.01, clock.monotonic())
    assert probed.breaker.statistics().state is State.CLOSED
    await close(core)


async def test_waiting_for_a_channel_that_is_closed_meanwhile_ends() -> None:
    channel = MeshChannel("static:///127.0.0.1:1")

    async def wait() -> None:
        with pytest.raises(grpc.aio.UsageError):
            await channel.channel_ready()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(wait())
        await asyncio.to_thread(lambda: None)
        await channel.close()
