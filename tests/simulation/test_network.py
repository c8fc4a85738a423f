"""The simulation itself: what its servers do, and when."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest

from libs.core.rng import new_rng
from libs.testing.simulation.behaviour import Answering, Failing, Refusing, Silent, Warming
from libs.testing.simulation.latency import LogNormal, Normal
from libs.testing.simulation.network import Distances, SimulatedNetwork
from libs.testing.simulation.server import Capacity
from libs.testing.virtual_loop import LoopClock, run_virtual

QUICK = Answering(Normal(0.1))
Ended = tuple[grpc.StatusCode, float]


class Fleet:
    """A network with one server, called without a mesh in between."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = LoopClock(self.loop)
        self.network = SimulatedNetwork(self.loop, new_rng(7), Distances(near=0.001, far=0.01))
        self.channel = self.network.dialer("here")("server:1")

    async def call(self, timeout: float = 5.0) -> Ended:
        """The status, and after how many seconds."""
        started = self.loop.time()
        try:
            await self.begin(timeout)
        except grpc.aio.AioRpcError as error:
            code = error.code()
        else:
            code = grpc.StatusCode.OK
        return code, round(self.loop.time() - started, 6)

    def begin(self, timeout: float = 5.0) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
        """Make a call and do not wait for it."""
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary("/a/B")
        return method(b"", timeout=timeout)

    async def calls(self, count: int, timeout: float = 5.0) -> list[Ended]:
        """Several at once."""
        return list(await asyncio.gather(*(self.call(timeout) for _ in range(count))))


def simulated(scenario: Callable[[Fleet], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Fleet())

    run_virtual(main())


def test_an_answer_takes_the_servers_time_and_the_way() -> None:
    async def scenario(fleet: Fleet) -> None:
        fleet.network.add("server:1", QUICK, zone="here")
        assert await fleet.call() == (grpc.StatusCode.OK, 0.101)
        fleet.network.add("remote:1", QUICK, zone="there")
        fleet.channel = fleet.network.dialer("here")("remote:1")
        assert await fleet.call() == (grpc.StatusCode.OK, 0.11)

    simulated(scenario)


def test_a_deadline_ends_a_call_that_would_take_longer() -> None:
    async def scenario(fleet: Fleet) -> None:
        server = fleet.network.add("server:1", QUICK)
        assert await fleet.call(timeout=0.05) == (grpc.StatusCode.DEADLINE_EXCEEDED, 0.05)
        server.behaviour = Silent()
        assert await fleet.call(timeout=2.0) == (grpc.StatusCode.DEADLINE_EXCEEDED, 2.0)
        assert server.statistics().in_flight == 0

    simulated(scenario)


def test_a_server_that_goes_takes_its_calls_along() -> None:
    async def scenario(fleet: Fleet) -> None:
        server = fleet.network.add("server:1", QUICK, zone="here")
        server.at(0.05, Refusing())
        assert await fleet.call() == (grpc.StatusCode.UNAVAILABLE, 0.051)
        assert await fleet.call() == (grpc.StatusCode.UNAVAILABLE, 0.001)
        assert fleet.channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE
        server.behaviour = QUICK
        assert await fleet.call() == (grpc.StatusCode.OK, 0.101)

    simulated(scenario)


def test_nobody_at_an_address_refuses_too() -> None:
    async def scenario(fleet: Fleet) -> None:
        assert (await fleet.call())[0] is grpc.StatusCode.UNAVAILABLE
        fleet.network.add("server:1", QUICK)
        assert (await fleet.call())[0] is grpc.StatusCode.OK

    simulated(scenario)


def test_failures_come_as_quickly_and_as_often_as_they_are_told_to() -> None:
    async def scenario(fleet: Fleet) -> None:
        server = fleet.network.add("server:1", Failing(grpc.StatusCode.INTERNAL, 0.002), zone="here")
        assert await fleet.call() == (grpc.StatusCode.INTERNAL, 0.003)
        server.behaviour = Failing(share=0.25, well=Normal(0.1))
        codes = [code for code, _ in await fleet.calls(4000)]
        # 4000 draws at 25%: three deviations are 82.
        assert abs(codes.count(grpc.StatusCode.UNAVAILABLE) - 1000) < 82

    simulated(scenario)


@pytest.mark.parametrize(
    ("warming", "cold"),
    [(Warming(Normal(1.0), Normal(0.1), requests=3), 3), (Warming(Normal(1.0), Normal(0.1), seconds=3.5), 4)],
)
def test_a_server_warms_up_by_requests_or_by_time(warming: Warming, cold: int) -> None:
    async def scenario(fleet: Fleet) -> None:
        fleet.network.add("server:1", warming, zone="here")
        took = [(await fleet.call())[1] for _ in range(6)]
        assert took == [1.001] * cold + [0.101] * (6 - cold)

    simulated(scenario)


def test_a_limited_server_queues_and_then_sheds() -> None:
    async def scenario(fleet: Fleet) -> None:
        server = fleet.network.add("server:1", QUICK, "here", Capacity(workers=2, queue=2))
        ended = await fleet.calls(6)
        assert ended[:4] == [(grpc.StatusCode.OK, took) for took in (0.101, 0.101, 0.201, 0.201)]
        assert ended[4:] == [(grpc.StatusCode.UNAVAILABLE, 0.001)] * 2
        assert server.statistics().shed == 2

    simulated(scenario)


@pytest.mark.parametrize(("finishes", "took"), [(True, 0.35), (False, 0.15)])
def test_work_for_callers_who_have_gone_may_delay_the_others(finishes: bool, took: float) -> None:
    async def scenario(fleet: Fleet) -> None:
        fleet.network.add("server:1", QUICK, "here", Capacity(workers=1, queue=9, finishes_abandoned=finishes))
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.calls(3, timeout=0.05))
            await fleet.clock.sleep(0.051)
            assert await fleet.call() == (grpc.StatusCode.OK, took)

    simulated(scenario)


def test_what_was_queued_while_a_server_was_slow_is_quick_afterwards() -> None:
    async def scenario(fleet: Fleet) -> None:
        server = fleet.network.add("server:1", Answering(Normal(1.0)), "here", Capacity(workers=1, queue=9))
        server.at(0.5, QUICK)
        assert [took for _, took in await fleet.calls(3)] == [1.001, 1.101, 1.201]

    simulated(scenario)


def test_nothing_gets_through_a_cut() -> None:
    async def scenario(fleet: Fleet) -> None:
        server = fleet.network.add("server:1", QUICK, zone="there")
        fleet.loop.call_later(0.05, fleet.network.cut, "here", "there")
        assert await fleet.call(timeout=1.0) == (grpc.StatusCode.DEADLINE_EXCEEDED, 1.0)
        assert await fleet.call(timeout=1.0) == (grpc.StatusCode.DEADLINE_EXCEEDED, 1.0)
        assert server.statistics().requests == 1
        fleet.network.heal()
        assert await fleet.call() == (grpc.StatusCode.OK, 0.11)

    simulated(scenario)


def test_closing_a_channel_gives_its_calls_a_grace() -> None:
    async def scenario(fleet: Fleet) -> None:
        fleet.network.add("server:1", QUICK)
        early = fleet.begin()
        await fleet.channel.close(grace=0.2)
        assert await early.code() is grpc.StatusCode.OK
        with pytest.raises(grpc.aio.UsageError):
            fleet.begin()
        fleet.channel = fleet.network.dial("server:1")
        late = fleet.begin()
        await fleet.channel.close(grace=0.05)
        assert await late.code() is grpc.StatusCode.CANCELLED

    simulated(scenario)


def test_a_channel_becomes_ready_when_its_server_does() -> None:
    async def scenario(fleet: Fleet) -> None:
        fleet.network.add("server:1", Refusing()).at(3.0, QUICK)
        started = fleet.loop.time()
        await fleet.channel.channel_ready()
        assert fleet.loop.time() - started == pytest.approx(3.0)

    simulated(scenario)


def test_latencies_follow_their_distributions() -> None:
    rng = new_rng(1)
    normal = sorted(Normal(0.167, 0.005).draw(rng) for _ in range(10_000))
    # The median of 10,000 normal draws has a deviation of 1.25 sigma / 100; the bounds are four of them.
    assert normal[5_000] == pytest.approx(0.167, abs=0.00025)
    assert normal[9_772] == pytest.approx(0.177, abs=0.0006)
    heavy = sorted(LogNormal(0.05, 0.5).draw(rng) for _ in range(10_000))
    assert heavy[5_000] == pytest.approx(0.05, rel=0.03)
    assert heavy[9_900] == pytest.approx(0.05 * 3.2, rel=0.1)
