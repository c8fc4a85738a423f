"""Streams: picked once, tried again only before the first response, cancelled to the bottom, measured by it."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from libs.mesh.channel import MeshChannel
from libs.mesh.endpoint import Endpoint
from libs.testing.clock import ManualClock
from libs.testing.inprocess import RunningServer, serving
from tests.integration.mesh.echo import Echo, EchoStub


@pytest.fixture
async def channel(server: RunningServer) -> AsyncIterator[MeshChannel]:
    async with asyncio.timeout(20), MeshChannel(server.target) as mesh:
        yield mesh


class Measured:
    """What a core is told of first responses and of ends."""

    def __init__(self, channel: MeshChannel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.first: list[float] = []
        self.ends: list[tuple[grpc.StatusCode, bool]] = []
        self._finished = channel._core.finished
        monkeypatch.setattr(channel._core, "observed", self.observed)
        monkeypatch.setattr(channel._core, "finished", self.finished)

    def observed(self, endpoint: Endpoint, seconds: float, now: float) -> None:
        self.first.append(seconds)

    def finished(
        self, endpoint: Endpoint, code: grpc.StatusCode, started: float, timeout: float, sampled: bool
    ) -> float:
        self.ends.append((code, sampled))
        return self._finished(endpoint, code, started, timeout, sampled)


def in_flight(channel: MeshChannel) -> int:
    return channel.statistics().endpoints[0].in_flight


async def test_a_stream_stays_where_it_was_picked() -> None:
    one, two = Echo(), Echo()
    async with (
        serving(one.registration()) as first,
        serving(two.registration()) as second,
        MeshChannel(f"static:///{first.address},{second.address}") as channel,
    ):
        call = EchoStub(channel).both()
        for _ in range(10):
            await call.write(b"x")
            assert await call.read() == b"x"
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
    assert sorted([one.calls, two.calls]) == [0, 1]


async def test_the_first_response_is_the_sample(channel: MeshChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(channel, monkeypatch)
    stub = EchoStub(channel)
    assert [response async for response in stub.down(b"3")] == [b"0", b"1", b"2"]
    assert len(measured.first) == 1
    call = stub.down(b"2")
    while await call.read() is not grpc.aio.EOF:
        pass
    assert len(measured.first) == 2
    assert [response async for response in stub.both(iter([b"a", b"b"]))] == [b"a", b"b"]
    both = stub.both()
    await both.write(b"a")
    await both.read()
    await both.done_writing()
    assert await both.read() is grpc.aio.EOF
    assert len(measured.first) == 4
    assert measured.ends == [(grpc.StatusCode.OK, True)] * 4


async def test_without_a_response_the_end_is_the_sample(channel: MeshChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(channel, monkeypatch)
    assert [response async for response in EchoStub(channel).down(b"0")] == []
    assert await EchoStub(channel).down(b"0").read() is grpc.aio.EOF
    assert await EchoStub(channel).unary(b"x") == b"x"
    assert measured.first == []
    assert measured.ends == [(grpc.StatusCode.OK, False)] * 3


async def test_a_retried_stream_samples_the_attempt_that_answered(
    channel: MeshChannel, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = Measured(channel, monkeypatch)
    echo.fail = 1
    assert [response async for response in EchoStub(channel).down(b"2")] == [b"0", b"1"]
    assert measured.ends == [(grpc.StatusCode.UNAVAILABLE, False), (grpc.StatusCode.OK, True)]
    assert len(measured.first) == 1


@pytest.mark.parametrize("by", ["iteration", "reading"])
async def test_cancelling_during_a_backoff_ends_the_wait(server: RunningServer, echo: Echo, by: str) -> None:
    echo.fail, echo.trailing = 1, (("grpc-retry-pushback-ms", "20000"),)
    clock = ManualClock()
    async with MeshChannel(server.target, clock=clock) as channel, asyncio.timeout(20), asyncio.TaskGroup() as group:
        call = EchoStub(channel).down(b"2")

        async def wait() -> None:
            with pytest.raises(asyncio.CancelledError):
                _ = [response async for response in call] if by == "iteration" else await call.read()

        waiting = group.create_task(wait())
        while not clock.sleeping:
            await clock.settle()
        assert call.cancel()
        await waiting
        assert await call.code() is grpc.StatusCode.CANCELLED
        assert echo.calls == 1
        assert in_flight(channel) == 0


async def test_a_stream_is_in_flight_until_its_end(channel: MeshChannel) -> None:
    call = EchoStub(channel).both()
    await call.write(b"x")
    await call.read()
    assert in_flight(channel) == 1
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert in_flight(channel) == 0


@pytest.mark.parametrize("kind", ["up", "both"])
async def test_cancelling_who_writes_reaches_the_server(channel: MeshChannel, echo: Echo, kind: str) -> None:
    echo.hold = asyncio.Event()
    stub = EchoStub(channel)

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async def wait() -> None:
        if kind == "up":
            await stub.up(endless())
        else:
            async for _ in stub.both(endless()):
                pass

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait())
        await echo.started.wait()
        waiting.cancel()
    await echo.cancelled.wait()
    assert in_flight(channel) == 0


async def test_a_response_that_was_seen_is_never_seen_again(channel: MeshChannel, echo: Echo) -> None:
    echo.fail, echo.after = 1, 1
    call = EchoStub(channel).down(b"1")
    assert await call.read() == b"0"
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert echo.calls == 1
    assert await call.code() is grpc.StatusCode.UNAVAILABLE
