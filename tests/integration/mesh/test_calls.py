"""The four kinds of calls behave as grpc.aio's do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import cast

import grpc
import pytest

from libs.mesh.breaker import BreakerOptions, State
from libs.mesh.channel import MeshChannel
from libs.testing.inprocess import RunningServer
from tests.integration.mesh.echo import Echo, EchoStub

UNARY = "/test.Echo/Unary"


@pytest.fixture
async def channel(server: RunningServer) -> AsyncIterator[MeshChannel]:
    async with MeshChannel(server.target) as mesh:
        yield mesh
    assert mesh.statistics().endpoints == ()


async def test_unary_unary(channel: MeshChannel) -> None:
    call = EchoStub(channel).unary(b"x")
    assert await call == b"x"
    assert await call == b"x"
    assert await call.code() is grpc.StatusCode.OK
    assert await call.details() == ""
    assert list(await call.trailing_metadata()) == []
    assert call.done()
    assert not call.cancelled()
    assert not call.cancel()
    assert isinstance(call, grpc.aio.UnaryUnaryCall)


async def test_unary_stream_by_iteration(channel: MeshChannel) -> None:
    call = EchoStub(channel).down(b"3")
    assert [response async for response in call] == [b"0", b"1", b"2"]
    assert await call.code() is grpc.StatusCode.OK


async def test_unary_stream_by_reading(channel: MeshChannel) -> None:
    call = EchoStub(channel).down(b"2")
    assert await call.read() == b"0"
    assert await call.read() == b"1"
    assert await call.read() is grpc.aio.EOF


async def test_an_empty_stream(channel: MeshChannel) -> None:
    assert [response async for response in EchoStub(channel).down(b"0")] == []


async def test_stream_unary_from_iterators(channel: MeshChannel) -> None:
    async def requests() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    assert await EchoStub(channel).up(requests()) == b"ab"
    letters: Iterator[bytes] = iter([b"c", b"d"])
    assert await EchoStub(channel).up(letters) == b"cd"


async def test_stream_unary_by_writing(channel: MeshChannel) -> None:
    call = EchoStub(channel).up()
    await call.write(b"a")
    await call.write(b"b")
    await call.done_writing()
    assert await call == b"ab"


async def test_stream_stream(channel: MeshChannel) -> None:
    call = EchoStub(channel).both()
    await call.write(b"a")
    assert await call.read() == b"a"
    await call.write(b"b")
    assert await call.read() == b"b"
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF

    async def requests() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    assert [response async for response in EchoStub(channel).both(requests())] == [b"a", b"b"]


async def test_failures_raise_what_grpc_raises(channel: MeshChannel, echo: Echo) -> None:
    echo.fail, echo.code, echo.trailing = 1, grpc.StatusCode.NOT_FOUND, (("why", "gone"),)
    call = EchoStub(channel).unary(b"x")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert await call.details() == "as told"
    assert (await call.trailing_metadata())["why"] == "gone"


async def test_done_callbacks_get_our_call(channel: MeshChannel) -> None:
    seen: list[object] = []
    call = EchoStub(channel).unary(b"x")
    call.add_done_callback(seen.append)
    await call
    call.add_done_callback(seen.append)
    assert seen == [call, call]


async def test_in_flight_is_released_whatever_happens(channel: MeshChannel, echo: Echo) -> None:
    echo.hold = asyncio.Event()
    calls = [EchoStub(channel).unary(b"x") for _ in range(3)]
    await echo.started.wait()
    assert channel.statistics().endpoints[0].in_flight == 3
    calls[0].cancel()
    assert channel.statistics().endpoints[0].in_flight == 2
    echo.hold.set()
    await calls[1]
    await calls[2].code()
    assert channel.statistics().endpoints[0].in_flight == 0
    assert channel.statistics().calls == 3


async def test_a_serialiser_that_fails_leaves_nothing_behind(channel: MeshChannel) -> None:
    def broken(request: str) -> bytes:
        return cast("bytes", request)

    multicallable: grpc.aio.UnaryUnaryMultiCallable[str, bytes] = channel.unary_unary(UNARY, broken)
    for _ in range(BreakerOptions().failures):
        with pytest.raises(TypeError):
            await multicallable("text", timeout=1)
    assert channel.statistics().endpoints[0].in_flight == 0
    assert channel.statistics().endpoints[0].breaker.state is State.CLOSED
    assert channel.statistics().endpoints[0].breaker.consecutive_failures == 0


async def test_cancelling_the_call_reaches_the_server(channel: MeshChannel, echo: Echo) -> None:
    echo.hold = asyncio.Event()
    call = EchoStub(channel).unary(b"x")
    await echo.started.wait()
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelled()
    assert await call.code() is grpc.StatusCode.CANCELLED
    await asyncio.wait_for(echo.cancelled.wait(), 5)


@pytest.mark.parametrize("kind", ["unary", "stream"])
async def test_cancelling_who_waits_reaches_the_server(channel: MeshChannel, echo: Echo, kind: str) -> None:
    echo.hold = asyncio.Event()

    async def wait() -> None:
        if kind == "unary":
            await EchoStub(channel).unary(b"x")
        else:
            async for _ in EchoStub(channel).down(b"1"):
                pass

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait())
        await echo.started.wait()
        waiting.cancel()
    assert waiting.cancelled()
    await asyncio.wait_for(echo.cancelled.wait(), 5)
    assert channel.statistics().endpoints[0].in_flight == 0


async def test_leaving_a_stream_early_ends_it(channel: MeshChannel) -> None:
    call = EchoStub(channel).down(b"100000")
    async for _ in call:
        break
    call.cancel()
    assert channel.statistics().endpoints[0].in_flight == 0


async def test_stubs_may_be_made_again_and_again(channel: MeshChannel) -> None:
    assert EchoStub(channel).unary is EchoStub(channel).unary


async def test_a_closed_channel_refuses(server: RunningServer) -> None:
    channel = MeshChannel(server.target)
    assert await EchoStub(channel).unary(b"x") == b"x"
    assert channel.get_state() is grpc.ChannelConnectivity.READY
    await channel.close()
    await channel.close()
    assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    with pytest.raises(grpc.aio.UsageError, match="closed"):
        EchoStub(channel).unary(b"x")


async def test_closing_cancels_what_is_in_flight(server: RunningServer, echo: Echo) -> None:
    echo.hold = asyncio.Event()
    async with MeshChannel(server.target) as channel:
        call = EchoStub(channel).unary(b"x")
        await echo.started.wait()
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_channel_ready(server: RunningServer) -> None:
    async with MeshChannel(server.target) as channel:
        await asyncio.wait_for(channel.channel_ready(), 10)
        assert channel.get_state() is grpc.ChannelConnectivity.READY
    assert "closed" in repr(channel)
