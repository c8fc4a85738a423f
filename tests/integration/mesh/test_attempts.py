"""How a call's time is divided over its attempts, who is told of calls, and what goes wrong around attempts."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import grpc
import pytest

from libs.mesh.channel import MeshChannel
from libs.mesh.observer import SilentObserver
from libs.mesh.options import MeshOptions
from libs.testing.inprocess import RunningServer
from tests.integration.mesh.echo import Echo, EchoStub

UNARY = "/test.Echo/Unary"
ROOT = Path(__file__).parents[3]


def retrying(codes: list[str], **more: object) -> MeshOptions:
    policy: dict[str, object] = {
        "maxAttempts": 3,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": codes,
    }
    return MeshOptions(service_config={"methodConfig": [{"name": [{}], "retryPolicy": policy | more}]})


class Recorder(SilentObserver):
    """Remembers what it is told of calls."""

    def __init__(self) -> None:
        self.started = 0
        self.finished: list[tuple[str, int]] = []

    def attempt_started(self, method: str) -> None:
        assert method == UNARY
        self.started += 1

    def call_finished(self, method: str, code: grpc.StatusCode, seconds: float, attempts: int) -> None:
        assert method == UNARY
        assert seconds >= 0
        self.finished.append((code.name, attempts))


@pytest.fixture
async def channel(server: RunningServer) -> AsyncIterator[MeshChannel]:
    async with MeshChannel(server.target) as mesh:
        yield mesh


# Deadlines over attempts. On the wire a timeout is rounded up a little.


async def test_an_attempt_has_all_the_time_there_is(server: RunningServer, echo: Echo) -> None:
    async with MeshChannel(server.target) as channel:
        await EchoStub(channel).unary(b"x", timeout=30)
    assert 25 < echo.remaining < 31


async def test_attempts_share_the_time_if_running_out_of_it_is_worth_a_retry(server: RunningServer, echo: Echo) -> None:
    async with MeshChannel(server.target, retrying(["DEADLINE_EXCEEDED"])) as channel:
        await EchoStub(channel).unary(b"x", timeout=30)
        assert 5 < echo.remaining < 11
        async for _ in EchoStub(channel).down(b"1", timeout=30):
            assert 25 < echo.remaining < 31  # a stream may take as long as it likes


async def test_a_slow_attempt_leaves_time_for_a_better_one(server: RunningServer, echo: Echo) -> None:
    echo.hold = asyncio.Event()
    options = retrying(["DEADLINE_EXCEEDED"], perAttemptRecvTimeout="0.3s")
    async with MeshChannel(server.target, options) as channel, asyncio.timeout(20), asyncio.TaskGroup() as group:
        call = EchoStub(channel).unary(b"x", timeout=15)

        async def wait() -> bytes:
            return await call

        waiting = group.create_task(wait())
        await echo.cancelled.wait()
        echo.hold.set()
        assert await waiting == b"x"
        assert echo.calls == 2
        assert echo.remaining < 0.4


async def test_an_attempt_out_of_time_fails_the_call_unless_the_policy_lists_it(
    server: RunningServer, echo: Echo
) -> None:
    echo.hold = asyncio.Event()
    options = retrying(["UNAVAILABLE"], perAttemptRecvTimeout="0.1s")
    async with MeshChannel(server.target, options) as channel, asyncio.timeout(20):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await EchoStub(channel).unary(b"x", timeout=15)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert echo.calls == 1
        echo.hold.set()


# Who is told.


async def test_every_call_is_told_of_once(channel: MeshChannel, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(channel._core, "observer", recorder)
    monkeypatch.setattr(channel._core, "watched", True)
    stub = EchoStub(channel)
    await stub.unary(b"x")
    echo.fail = 1
    await stub.unary(b"x")
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.unary(b"x", timeout=0)
    echo.hold = asyncio.Event()
    stub.unary(b"x").cancel()
    await channel.close()
    with pytest.raises(grpc.aio.UsageError):
        stub.unary(b"x")
    assert recorder.started == sum(attempts for _, attempts in recorder.finished)
    assert recorder.finished == [("OK", 1), ("OK", 2), ("DEADLINE_EXCEEDED", 0), ("CANCELLED", 1), ("UNKNOWN", 0)]


# Whatever else may go wrong.


class Refusing:
    """A core's pick that has no room for calls."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __call__(self, *_: object) -> None:
        self.calls -= 1
        if self.calls < 0:
            return
        nothing = grpc.aio.Metadata()
        raise grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, nothing, nothing, "no room")


async def test_a_refused_pick_is_the_calls_failure(channel: MeshChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel._core, "pick", Refusing(1))
    call = EchoStub(channel).unary(b"x")
    assert call.done()
    with pytest.raises(grpc.aio.AioRpcError, match="no room"):
        await call
    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await call.details() == "no room"
    assert list(await call.initial_metadata()) == []


class NoTokens:
    """A token source with a fault of its own."""

    def cached(self) -> None:
        return

    async def fetch(self) -> str:
        raise LookupError("no such key")


async def test_a_fault_while_the_call_waits_is_raised_as_it_is(server: RunningServer) -> None:
    async with MeshChannel(server.target, MeshOptions(token_source=NoTokens())) as channel:
        call = EchoStub(channel).unary(b"x")
        for _ in range(2):
            with pytest.raises(LookupError, match="no such key"):
                await call
        assert call.done()


@pytest.mark.parametrize("kind", ["unary", "unary by task", "down", "down by reading", "up"])
async def test_what_cannot_be_sent_leaves_nothing_behind(channel: MeshChannel, kind: str) -> None:
    stub = EchoStub(channel)
    wrong = (("key", cast("str", 1)),)

    async def call() -> None:
        if kind == "unary":
            await stub.unary(b"x", metadata=wrong)
        elif kind == "unary by task":
            await asyncio.wait_for(stub.unary(b"x", metadata=wrong), 5)
        elif kind == "up":
            await stub.up(iter([b"x"]), metadata=wrong)
        elif kind == "down":
            async for _ in stub.down(b"1", metadata=wrong):
                pass
        else:
            await stub.down(b"1", metadata=wrong).read()

    with pytest.raises(TypeError):
        await call()
    endpoint = channel.statistics().endpoints[0]
    assert (endpoint.in_flight, endpoint.breaker.consecutive_failures) == (0, 0)


LEFT_BEHIND = """
import asyncio, sys
from libs.mesh.channel import MeshChannel
from tests.integration.mesh.echo import EchoStub

async def main():
    channel = MeshChannel(sys.argv[1])
    assert await EchoStub(channel).unary(b"x") == b"x"
    return channel, EchoStub(channel).unary(b"y"), EchoStub(channel).down(b"5")

left = asyncio.run(main())
print("ended")
"""


async def test_a_loop_that_ends_under_a_channel_leaves_quietly(server: RunningServer) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        LEFT_BEHIND,
        server.target,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos/gen'}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    assert (out, process.returncode) == (b"ended\n", 0), err.decode()
    assert b"libs/mesh" not in err
