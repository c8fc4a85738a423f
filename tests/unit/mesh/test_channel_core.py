"""What becomes of an endpoint that was picked and then not called."""

import grpc
import pytest

from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.breaker import BreakerOptions, State
from libs.mesh.calls.unary_unary import UnaryUnaryMethod
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
