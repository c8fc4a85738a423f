"""Endpoints fail, vanish, appear: what the caller sees."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from libs.core.rng import new_rng
from libs.mesh.backoff import Backoff
from libs.mesh.breaker import BreakerOptions, State
from libs.mesh.budget import BudgetOptions
from libs.mesh.channel import MeshChannel
from libs.mesh.options import MeshOptions
from libs.mesh.resolver.base import ResolvedEndpoint, ResolvedSet
from libs.telemetry.telemetry import Telemetry
from libs.testing.clock import ManualClock
from libs.testing.inprocess import RunningServer, serving
from tests.integration.mesh.echo import Echo, EchoStub

UNARY = "/test.Echo/Unary"
# Which endpoint gets which call is then known, and how many calls a broken one gets.
IN_TURN = MeshOptions(policy="round_robin")
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def echoes(*services: Echo) -> AsyncIterator[list[str]]:
    async with AsyncExitStack() as stack:
        yield [(await stack.enter_async_context(serving(service.registration()))).address for service in services]


def over(*addresses: str) -> str:
    return f"static:///{','.join(addresses)}"


@asynccontextmanager
async def echo_process() -> AsyncIterator[tuple[str, int]]:
    """An echo server in a process of its own: its address and pid."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mesh.echo", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield f"127.0.0.1:{int(await process.stdout.readline())}", process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class FollowedNames:
    """A resolver that a test steers."""

    authority = ""

    def __init__(self) -> None:
        self.sets: asyncio.Queue[ResolvedSet] = asyncio.Queue()

    def known(self) -> None:
        return

    async def updates(self) -> AsyncIterator[ResolvedSet]:
        while True:
            yield await self.sets.get()
            self.sets.task_done()

    async def become(self, *addresses: str) -> None:
        self.sets.put_nowait(tuple(ResolvedEndpoint(address) for address in addresses))
        await self.sets.join()


async def test_a_failure_is_retried_on_another_endpoint() -> None:
    broken, sound = Echo(fail=1000), Echo()
    async with echoes(broken, sound) as addresses, MeshChannel(over(*addresses), IN_TURN, rng=new_rng(1)) as channel:
        for _ in range(20):
            assert await EchoStub(channel).unary(b"x") == b"x"
        assert broken.calls == 5  # then its breaker opened
        assert sound.calls == 20
        statistics = channel.statistics()
        assert statistics.retries == 5
        assert statistics.balancer.healthy == 1
        assert statistics.budget.withdrawn == 5


async def test_accessors_answer_for_the_last_attempt() -> None:
    async with echoes(Echo(fail=1, trailing=(("first", "1"),))) as addresses, MeshChannel(over(*addresses)) as channel:
        done: list[object] = []
        call = EchoStub(channel).unary(b"x")
        call.add_done_callback(done.append)
        assert await call.code() is grpc.StatusCode.OK
        assert "first" not in dict(await call.trailing_metadata())
        assert done == [call]
        assert await call == b"x"


async def test_two_tasks_may_wait_for_one_retried_call() -> None:
    async with echoes(Echo(fail=2)) as addresses, MeshChannel(over(*addresses)) as channel:
        call = EchoStub(channel).unary(b"x")

        async def wait() -> bytes:
            return await call

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wait()) for _ in range(2)]
        assert [task.result() for task in tasks] == [b"x", b"x"]


async def test_gives_up_after_its_attempts() -> None:
    broken = Echo(fail=1000)
    async with echoes(broken) as addresses, MeshChannel(over(*addresses)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await EchoStub(channel).unary(b"x")
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert broken.calls == 3


async def test_application_errors_are_not_retried_and_do_not_trip() -> None:
    broken = Echo(fail=1000, code=grpc.StatusCode.NOT_FOUND)
    async with echoes(broken) as addresses, MeshChannel(over(*addresses)) as channel:
        for _ in range(10):
            with pytest.raises(grpc.aio.AioRpcError):
                await EchoStub(channel).unary(b"x")
        assert broken.calls == 10
        assert channel.statistics().balancer.healthy == 1


async def test_an_empty_budget_stops_retries() -> None:
    broken = Echo(fail=1000)
    options = MeshOptions(budget=BudgetOptions(ratio=0, floor=0.1))
    async with echoes(broken) as addresses, MeshChannel(over(*addresses), options) as channel:
        for _ in range(5):
            with pytest.raises(grpc.aio.AioRpcError):
                await EchoStub(channel).unary(b"x")
        assert broken.calls == 6


async def test_pushback_is_honoured() -> None:
    broken = Echo(fail=1, trailing=(("grpc-retry-pushback-ms", "-1"),))
    async with echoes(broken) as addresses, MeshChannel(over(*addresses)) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await EchoStub(channel).unary(b"x")
        broken.fail, broken.trailing = 1, (("grpc-retry-pushback-ms", "1"),)
        assert await EchoStub(channel).unary(b"x") == b"x"


async def test_a_stream_is_retried_before_its_first_response_only() -> None:
    broken = Echo(fail=1)
    async with echoes(broken) as addresses, MeshChannel(over(*addresses)) as channel:
        assert [response async for response in EchoStub(channel).down(b"3")] == [b"0", b"1", b"2"]
        broken.fail = 1
        call = EchoStub(channel).down(b"1")
        assert [await call.read(), await call.read()] == [b"0", grpc.aio.EOF]
        broken.fail, broken.after, broken.calls = 1, 2, 0
        seen: list[bytes] = []

        async def collect() -> None:
            async for response in EchoStub(channel).down(b"3"):
                seen.append(response)  # noqa: PERF401 - what came before the failure counts too

        with pytest.raises(grpc.aio.AioRpcError):
            await collect()
        assert seen == [b"0", b"1"]
        assert broken.calls == 1


async def test_request_streams_are_never_retried() -> None:
    broken = Echo(fail=1)
    async with echoes(broken) as addresses, MeshChannel(over(*addresses)) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await EchoStub(channel).up(iter([b"a"]))
        assert broken.calls == 1


async def test_cancel_during_a_backoff_ends_the_wait() -> None:
    broken = Echo(fail=1000, trailing=(("grpc-retry-pushback-ms", "20000"),))
    clock = ManualClock()
    async with echoes(broken) as addresses, MeshChannel(over(*addresses), clock=clock) as channel:
        call = EchoStub(channel).unary(b"x")

        async def wait() -> None:
            with pytest.raises(asyncio.CancelledError):
                await call

        async with asyncio.TaskGroup() as group, asyncio.timeout(10):
            group.create_task(wait())
            while not clock.sleeping:
                await clock.settle()
            assert call.cancel()
        assert await call.code() is grpc.StatusCode.CANCELLED
        assert call.cancelled()
        assert broken.calls == 1


async def test_cancelling_who_waits_during_a_backoff_ends_the_call() -> None:
    broken = Echo(fail=1, trailing=(("grpc-retry-pushback-ms", "20000"),))
    async with echoes(broken) as addresses, MeshChannel(over(*addresses)) as channel:
        call = EchoStub(channel).unary(b"x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await call
        assert call.cancelled()
        assert await call.code() is grpc.StatusCode.CANCELLED
        assert broken.calls == 1


async def test_nobody_notices_a_killed_server() -> None:
    async with (
        echo_process() as (doomed, pid),
        echoes(Echo()) as addresses,
        MeshChannel(over(doomed, *addresses), IN_TURN, rng=new_rng(1)) as channel,
    ):
        await channel.channel_ready()

        async def client() -> int:
            answers = 0
            for number in range(60):
                if number == 20 and doomed_alive:
                    doomed_alive.clear()
                    os.kill(pid, signal.SIGKILL)
                answers += await EchoStub(channel).unary(b"x", timeout=10) == b"x"
            return answers

        doomed_alive = [True]
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(client()) for _ in range(8)]
        assert sum(task.result() for task in clients) == 8 * 60
        states = {endpoint.address: endpoint for endpoint in channel.statistics().endpoints}
        assert states[doomed].failures > 0
        assert states[doomed].breaker.state is not State.CLOSED


async def test_a_restarted_server_is_found_again() -> None:
    options = replace(IN_TURN, breaker=BreakerOptions(failures=1, backoff=Backoff(0.05, 0.1)))
    async with echoes(Echo()) as addresses, AsyncExitStack() as stack:
        first = await stack.enter_async_context(serving(Echo().registration()))
        async with MeshChannel(over(first.address, *addresses), options) as channel:
            await EchoStub(channel).unary(b"x")
            await first.server.stop(None)
            for _ in range(4):
                await EchoStub(channel).unary(b"x")
            assert channel.statistics().balancer.healthy == 1
            back = Echo()
            await stack.enter_async_context(serving(back.registration(), port=int(first.address.split(":")[1])))
            async with asyncio.timeout(20):
                while channel.statistics().balancer.healthy == 1:
                    await EchoStub(channel).unary(b"x")
            assert back.calls >= 1


async def test_without_endpoints_a_call_fails_at_once_or_waits() -> None:
    names = FollowedNames()
    async with echoes(Echo()) as addresses, MeshChannel("dns:///svc:1", resolver=names) as channel:
        await names.become()
        with pytest.raises(grpc.aio.AioRpcError, match="no endpoints") as raised:
            await EchoStub(channel).unary(b"x", timeout=10)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await EchoStub(channel).unary(b"x", timeout=0.1, wait_for_ready=True)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        waiting = EchoStub(channel).unary(b"x", timeout=10, wait_for_ready=True)
        await names.become(*addresses)
        assert await waiting == b"x"


async def test_wait_for_ready_waits_for_whichever_endpoint_connects() -> None:
    names = FollowedNames()
    async with MeshChannel("dns:///svc:1", resolver=names) as channel:
        await names.become("127.0.0.1:1")
        call = EchoStub(channel).unary(b"x", timeout=20, wait_for_ready=True)
        async with asyncio.TaskGroup() as group, echoes(Echo()) as addresses:
            waiting = group.create_task(asyncio.wait_for(call, 20))
            while channel.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                await channel.wait_for_state_change(channel.get_state())
            await names.become("127.0.0.1:1", *addresses)
            assert await waiting == b"x"


async def test_a_call_waits_for_the_first_resolution() -> None:
    names = FollowedNames()
    async with echoes(Echo()) as addresses, MeshChannel("dns:///svc:1", resolver=names) as channel:
        call = EchoStub(channel).unary(b"x")
        assert not call.done()
        await names.become(*addresses)
        assert await call == b"x"


async def test_removed_endpoints_finish_their_calls() -> None:
    names = FollowedNames()
    old, new = Echo(hold=asyncio.Event()), Echo()
    assert old.hold is not None
    async with echoes(old, new) as addresses, MeshChannel("dns:///svc:1", resolver=names) as channel:
        await names.become(addresses[0])
        call = EchoStub(channel).unary(b"x")

        async def wait() -> bytes:
            return await call

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(wait())
            await old.started.wait()
            await names.become(addresses[1])
            assert await EchoStub(channel).unary(b"y") == b"y"
            old.hold.set()
        assert waiting.result() == b"x"
        assert (old.calls, new.calls) == (1, 1)


async def test_follows_a_real_name(server: RunningServer) -> None:
    port = server.address.split(":")[1]
    async with MeshChannel(f"dns:///localhost:{port}") as channel:
        assert await EchoStub(channel).unary(b"x", timeout=10) == b"x"


async def test_a_task_group_may_follow_a_name(server: RunningServer) -> None:
    port = server.address.split(":")[1]
    async with asyncio.TaskGroup() as tasks:
        channel = MeshChannel(f"dns:///localhost:{port}", tasks=tasks)
        assert await EchoStub(channel).unary(b"x", timeout=10) == b"x"
        await channel.close()


async def test_an_error_inside_the_block_comes_out_as_it_is(server: RunningServer) -> None:
    with pytest.raises(LookupError):
        async with MeshChannel("dns:///localhost:1"):
            raise LookupError


async def test_a_name_needs_an_entered_channel() -> None:
    with pytest.raises(grpc.aio.UsageError, match="async with"):
        EchoStub(MeshChannel("dns:///localhost:1")).unary(b"x")


async def test_spreads_evenly() -> None:
    services = [Echo() for _ in range(3)]
    async with echoes(*services) as addresses, MeshChannel(over(*addresses), IN_TURN) as channel:
        for _ in range(30):
            await EchoStub(channel).unary(b"x")
    assert Counter(service.calls for service in services) == {10: 3}


async def test_metrics_tell_what_happened() -> None:
    telemetry = Telemetry.local("test")
    broken, sound = Echo(fail=1000), Echo()
    async with echoes(broken, sound) as addresses:
        target = over(*addresses)
        async with MeshChannel(target, IN_TURN, telemetry=telemetry, rng=new_rng(1)) as channel:
            for _ in range(20):
                await EchoStub(channel).unary(b"x")

            def value(name: str, **labels: str) -> float | None:
                return telemetry.metrics.registry.get_sample_value(name, labels)

            attempts = "grpc_client_attempt_duration_seconds_count"
            assert value(attempts, grpc_method=UNARY, grpc_target=target, grpc_status="OK") == 20
            assert value(attempts, grpc_method=UNARY, grpc_target=target, grpc_status="UNAVAILABLE") == 5
            assert value("agentmesh_mesh_retries_total", grpc_target=target) == 5
            assert value("agentmesh_mesh_breaker_transitions_total", target=target, to="open") == 1
            assert value("agentmesh_mesh_endpoints", target=target, state="closed") == 1
