"""Hedged calls: who is asked, when, and who is told to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import grpc
import pytest

from libs.core.rng import new_rng
from libs.mesh.breaker import State
from libs.mesh.budget import BudgetOptions
from libs.mesh.channel import MeshChannel
from libs.mesh.options import MeshOptions
from libs.testing.clock import ManualClock
from libs.testing.inprocess import serving
from tests.integration.mesh.echo import Echo, EchoStub


def hedging(delay: str = "0.05s", attempts: int = 2, budget: BudgetOptions | None = None) -> MeshOptions:
    policy = {"maxAttempts": attempts, "hedgingDelay": delay, "nonFatalStatusCodes": ["UNAVAILABLE"]}
    # In turn, so that each endpoint is asked first now and then, whatever became of it before.
    config = {"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [{"name": [{}], "hedgingPolicy": policy}]}
    return MeshOptions(service_config=config, budget=budget or BudgetOptions())


@asynccontextmanager
async def over(
    *services: Echo, options: MeshOptions | None = None, clock: ManualClock | None = None
) -> AsyncIterator[MeshChannel]:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(service.registration())) for service in services]
        target = f"static:///{','.join(server.address for server in servers)}"
        chosen = options or hedging()
        if clock is None:
            channel = MeshChannel(target, chosen, rng=new_rng(1))
        else:
            channel = MeshChannel(target, chosen, rng=new_rng(1), clock=clock)
        async with asyncio.timeout(20), channel:
            yield channel


def stuck() -> Echo:
    return Echo(hold=asyncio.Event())


def in_flight(channel: MeshChannel) -> int:
    return sum(endpoint.in_flight for endpoint in channel.statistics().endpoints)


async def test_an_answer_in_time_needs_no_hedge() -> None:
    one, two = Echo(), Echo()
    async with over(one, two, options=hedging("5s")) as channel:
        call = EchoStub(channel).unary(b"x")
        assert await call == b"x"
        assert await call == b"x"
        assert await call.code() is grpc.StatusCode.OK
        assert list(await call.trailing_metadata()) == []
        assert await call.details() == ""
        assert call.done()
        assert not call.cancel()
        assert not call.cancelled()
        assert isinstance(call, grpc.aio.UnaryUnaryCall)
        assert one.calls + two.calls == 1
        assert channel.statistics().retries == 0


async def test_a_slow_endpoint_is_overtaken_and_told_to_stop() -> None:
    slow, quick = stuck(), Echo()
    async with over(slow, quick) as channel:
        for _ in range(4):
            call = EchoStub(channel).unary(b"x")
            assert await call == b"x"
            assert in_flight(channel) == 0
            assert not call.cancelled()
        assert slow.calls >= 1
        assert quick.calls == 4
        await slow.cancelled.wait()
        statistics = channel.statistics()
        assert statistics.retries == slow.calls
        assert {endpoint.breaker.state for endpoint in statistics.endpoints} == {State.CLOSED}
        assert {endpoint.breaker.consecutive_failures for endpoint in statistics.endpoints} == {0}


async def test_a_non_fatal_failure_sends_the_next_at_once() -> None:
    broken, sound = Echo(fail=1000), Echo()
    async with over(broken, sound, options=hedging("10s")) as channel:
        for _ in range(4):
            assert await EchoStub(channel).unary(b"x", timeout=5) == b"x"
        assert broken.calls >= 1


async def test_a_fatal_failure_decides_and_ends_the_others() -> None:
    slow, refusing = stuck(), Echo(fail=1000, code=grpc.StatusCode.NOT_FOUND)
    async with over(slow, refusing) as channel:
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await EchoStub(channel).unary(b"x")
            assert raised.value.code() is grpc.StatusCode.NOT_FOUND
            assert in_flight(channel) == 0


async def test_when_all_fail_the_last_failure_is_raised() -> None:
    services = [Echo(fail=1000) for _ in range(4)]
    async with over(*services, options=hedging("10s", attempts=3)) as channel:
        call = EchoStub(channel).unary(b"x")
        with pytest.raises(grpc.aio.AioRpcError, match="as told"):
            await call
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert [service.calls for service in services].count(1) == 3


async def test_one_endpoint_is_not_asked_twice_at_a_time() -> None:
    slow = stuck()
    async with over(slow, options=hedging("0.01s")) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await EchoStub(channel).unary(b"x", timeout=0.3)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert slow.calls == 1
        assert channel.statistics().budget.withdrawn == 0


async def test_but_again_after_it_failed() -> None:
    flaky = Echo(fail=1)
    async with over(flaky) as channel:
        assert await EchoStub(channel).unary(b"x") == b"x"
        assert flaky.calls == 2


async def test_without_a_delay_all_are_asked_at_once() -> None:
    services = [stuck() for _ in range(3)]
    async with over(*services, options=hedging("0s", attempts=3)) as channel:
        call = EchoStub(channel).unary(b"x")
        assert in_flight(channel) == 3
        for service in services:
            await service.started.wait()
        assert services[1].hold is not None
        services[1].hold.set()
        assert await call == b"x"
        assert in_flight(channel) == 0


async def test_hedges_spend_the_budget() -> None:
    options = hedging("0.01s", budget=BudgetOptions(ratio=0, floor=0.1))
    async with over(stuck(), stuck(), options=options) as channel:
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError):
                await EchoStub(channel).unary(b"x", timeout=0.2)
        budget = channel.statistics().budget
        assert (budget.withdrawn, budget.refused) == (1, 2)
        assert channel.statistics().retries == 1


async def test_pushback_stops_the_rest() -> None:
    services = [Echo(fail=1000, trailing=(("grpc-retry-pushback-ms", "-1"),)) for _ in range(2)]
    async with over(*services) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="as told"):
            await EchoStub(channel).unary(b"x")
        assert sum(service.calls for service in services) == 1


@asynccontextmanager
async def put_off(clock: ManualClock) -> AsyncIterator[tuple[MeshChannel, "asyncio.Task[bytes | str | None]"]]:
    """A call whose only endpoint has failed, and asked to come back in 5 s of the clock's."""
    flaky = Echo(fail=1, trailing=(("grpc-retry-pushback-ms", "5000"),))
    async with over(flaky, options=hedging("10s"), clock=clock) as channel, asyncio.TaskGroup() as group:
        waiting = group.create_task(answer(channel))
        while not (flaky.calls and clock.sleeping and not in_flight(channel)):
            await clock.settle()
        yield channel, waiting


async def test_pushback_puts_the_next_one_off() -> None:
    clock = ManualClock()
    async with put_off(clock) as (channel, waiting):
        await clock.run(4.9)
        assert channel.statistics().retries == 0
        await clock.run(0.2)
        assert await waiting == b"x"
        assert channel.statistics().retries == 1


async def test_a_call_that_was_put_off_fails_if_it_cannot_be_sent() -> None:
    clock = ManualClock()
    async with put_off(clock) as (channel, waiting):
        while channel._core.budget.try_withdraw():
            pass
        await clock.run(4.9)
        while channel._core.budget.try_withdraw():
            pass
        await clock.run(0.2)
        assert await waiting == "as told"


async def test_a_call_that_was_put_off_can_be_cancelled() -> None:
    clock = ManualClock()
    async with put_off(clock) as (channel, waiting):
        waiting.cancel()
        await clock.settle()
        assert waiting.cancelled()
        assert not clock.sleeping
        assert in_flight(channel) == 0


async def answer(channel: MeshChannel) -> bytes | str | None:
    try:
        return await EchoStub(channel).unary(b"x")
    except grpc.aio.AioRpcError as error:
        return error.details()


async def test_time_for_a_hedge_is_the_clocks() -> None:
    slow, quick = stuck(), stuck()
    clock = ManualClock()
    async with over(slow, quick, options=hedging("3s"), clock=clock) as channel, asyncio.TaskGroup() as group:
        waiting = group.create_task(answer(channel))
        await clock.run(2.9)
        assert in_flight(channel) == 1
        await clock.run(0.2)
        assert in_flight(channel) == 2
        waiting.cancel()
    assert in_flight(channel) == 0


@pytest.mark.parametrize("who", ["call", "waiter"])
async def test_cancelling_reaches_every_server(who: str) -> None:
    services = [stuck(), stuck()]
    async with over(*services, options=hedging("0.01s")) as channel, asyncio.TaskGroup() as group:
        call = EchoStub(channel).unary(b"x")

        async def wait() -> bytes:
            return await call

        waiting = group.create_task(wait())
        for service in services:
            await service.started.wait()
        assert call.cancel() if who == "call" else waiting.cancel()
        for service in services:
            await service.cancelled.wait()
        assert await call.code() is grpc.StatusCode.CANCELLED
        assert call.cancelled()
        assert not call.cancel()
        assert in_flight(channel) == 0
    assert waiting.cancelled()


async def test_several_may_wait_for_one_call() -> None:
    slow, quick = stuck(), Echo()
    async with over(slow, quick) as channel:
        done: list[object] = []
        call = EchoStub(channel).unary(b"x")
        call.add_done_callback(done.append)

        async def wait() -> bytes:
            return await call

        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(wait()) for _ in range(3)]
        assert [task.result() for task in waiting] == [b"x"] * 3
        assert done == [call]


async def test_a_serialiser_that_fails_leaves_nothing_behind() -> None:
    def broken(request: str) -> bytes:
        return cast("bytes", request)

    async with over(Echo(), Echo()) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[str, bytes] = channel.unary_unary("/test.Echo/Unary", broken)
        with pytest.raises(TypeError):
            await method("text", timeout=1)
        assert in_flight(channel) == 0
        assert {endpoint.breaker.consecutive_failures for endpoint in channel.statistics().endpoints} == {0}


async def test_closing_the_channel_ends_it() -> None:
    async with over(stuck(), stuck(), options=hedging("0.01s")) as channel, asyncio.TaskGroup() as group:
        call = EchoStub(channel).unary(b"x")
        group.create_task(wait_for_code(call))
        while in_flight(channel) < 2:
            await ManualClock().settle(1)
        await channel.close()


async def wait_for_code(call: grpc.aio.Call) -> None:
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_streams_are_not_hedged() -> None:
    slow = stuck()
    async with over(slow, Echo(hold=slow.hold), options=hedging("0s")) as channel:
        call = EchoStub(channel).down(b"2")
        assert in_flight(channel) == 1
        assert slow.hold is not None
        slow.hold.set()
        assert [response async for response in call] == [b"0", b"1"]
