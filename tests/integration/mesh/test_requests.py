"""What travels with a request: deadline, trace context, token."""

import asyncio
import math

import grpc
import pytest

from libs.core.clock import SystemClock
from libs.core.context import RequestContext, scope
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from libs.mesh.channel import MeshChannel
from libs.mesh.options import MeshOptions
from libs.testing.inprocess import RunningServer
from tests.integration.mesh.echo import Echo, EchoStub


class Tokens:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.token: str | None = None

    def cached(self) -> str | None:
        return self.token

    async def fetch(self) -> str:
        if self.error is not None:
            raise self.error
        self.token = "fetched"
        return self.token


def request(seconds: float, token: str = "internal") -> RequestContext:
    return RequestContext(Deadline.after(seconds, SystemClock()), "00-trace-span-01", token=token)


async def test_deadline_trace_and_token_of_the_request(server: RunningServer, echo: Echo) -> None:
    async with MeshChannel(server.target) as channel:
        with scope(request(5.0)):
            call = EchoStub(channel).unary(b"x", timeout=20)
        assert 4 < (call.time_remaining() or 0) <= 5
        await call
    assert 4 < echo.remaining < 6
    assert echo.metadata["traceparent"] == "00-trace-span-01"
    assert echo.metadata["authorization"] == "Bearer internal"


async def test_the_calls_own_timeout_if_it_is_sooner(server: RunningServer, echo: Echo) -> None:
    async with MeshChannel(server.target) as channel:
        with scope(request(20.0)):
            await EchoStub(channel).unary(b"x", timeout=5)
    assert 4 < echo.remaining < 6


async def test_no_call_without_a_deadline(server: RunningServer, echo: Echo) -> None:
    async with MeshChannel(server.target, MeshOptions(default_timeout=7)) as channel:
        await EchoStub(channel).unary(b"x")
    assert 6 < echo.remaining < 8


async def test_an_expired_deadline_sends_nothing(server: RunningServer, echo: Echo) -> None:
    async with MeshChannel(server.target) as channel:
        with scope(request(0.0)):
            call = EchoStub(channel).unary(b"x")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert list(await call.initial_metadata()) == []
    assert call.done()
    assert echo.calls == 0


async def test_a_deadline_ends_a_call_and_counts_against_the_endpoint(server: RunningServer, echo: Echo) -> None:
    echo.hold = asyncio.Event()
    async with MeshChannel(server.target) as channel:
        for timeout in (0.2, 0.05):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await EchoStub(channel).unary(b"x", timeout=timeout)
            assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # The second one was too short to blame the endpoint.
        assert channel.statistics().endpoints[0].breaker.consecutive_failures == 1


async def test_outside_of_a_request_a_service_token_is_fetched_once(server: RunningServer, echo: Echo) -> None:
    tokens = Tokens()
    async with MeshChannel(server.target, MeshOptions(token_source=tokens)) as channel:
        assert await EchoStub(channel).unary(b"x") == b"x"
        assert echo.metadata["authorization"] == "Bearer fetched"
        tokens.token = "cached"
        await EchoStub(channel).unary(b"x")
        assert echo.metadata["authorization"] == "Bearer cached"
        with scope(request(5.0)):
            await EchoStub(channel).unary(b"x")
        assert echo.metadata["authorization"] == "Bearer internal"


async def test_a_streaming_call_waits_for_its_token(server: RunningServer, echo: Echo) -> None:
    async with MeshChannel(server.target, MeshOptions(token_source=Tokens())) as channel:
        assert [response async for response in EchoStub(channel).down(b"2")] == [b"0", b"1"]
    async with MeshChannel(server.target, MeshOptions(token_source=Tokens())) as channel:
        call = EchoStub(channel).up()
        await call.write(b"a")
        await call.done_writing()
        assert await call == b"a"
    assert echo.metadata["authorization"] == "Bearer fetched"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MeshError(Reason.INVALID_CREDENTIALS), grpc.StatusCode.UNAUTHENTICATED),
        (grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_no_token_no_call(server: RunningServer, echo: Echo, error: Exception, code: grpc.StatusCode) -> None:
    async with MeshChannel(server.target, MeshOptions(token_source=Tokens(error))) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await EchoStub(channel).unary(b"x")
    assert raised.value.code() is code
    assert echo.calls == 0


@pytest.mark.parametrize("timeout", [None, math.inf])
async def test_a_request_without_an_end_makes_calls_that_have_one(
    server: RunningServer, echo: Echo, timeout: float | None
) -> None:
    async with MeshChannel(server.target, MeshOptions(default_timeout=7)) as channel:
        with scope(request(math.inf)):
            await EchoStub(channel).unary(b"x", timeout=timeout)
        assert 6 < echo.remaining < 8
        await EchoStub(channel).unary(b"x", timeout=math.inf)
    assert 6 < echo.remaining < 8
