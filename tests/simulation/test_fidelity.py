"""The simulated channel against the real one: the same script, the same course of events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from libs.core.rng import new_rng
from libs.testing.inprocess import handlers, serving
from libs.testing.simulation.behaviour import Answering, Behaviour, Failing, Silent
from libs.testing.simulation.connection import Reply
from libs.testing.simulation.latency import Normal
from libs.testing.simulation.network import SimulatedNetwork

Script = Callable[[grpc.aio.Channel], Awaitable[list[object]]]
Requests = bytes | AsyncIterator[bytes]
BEHAVIOURS: dict[str, Behaviour] = {
    "ok": Answering(Normal(0.01)),
    "fail": Failing(grpc.StatusCode.INTERNAL, 0.01, trailing=(("grpc-retry-pushback-ms", "70"),)),
    "silent": Silent(),
}


def _begin(channel: grpc.aio.Channel, timeout: float = 5.0) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/s/unary")
    return method(b"", timeout=timeout)


def _stream(channel: grpc.aio.Channel) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
    method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/s/stream")
    return method(b"", timeout=5.0)


async def _unary(channel: grpc.aio.Channel, timeout: float = 5.0) -> list[object]:
    events: list[object] = []
    call = _begin(channel, timeout)
    events.append(call.done())
    call.add_done_callback(lambda ended: events.append(("callback", ended is call, call.done())))
    try:
        events.append(await call)
    except grpc.aio.AioRpcError as error:
        trailing = error.trailing_metadata()
        events.append((error.code(), trailing is not None and trailing.get("grpc-retry-pushback-ms")))
    events.extend((await call.code(), call.done(), call.cancelled(), call.cancel()))
    call.add_done_callback(lambda _: events.append("late callback"))
    return events


async def _deadline(channel: grpc.aio.Channel) -> list[object]:
    return await _unary(channel, timeout=0.1)


async def _cancel(channel: grpc.aio.Channel) -> list[object]:
    call = _begin(channel)
    events: list[object] = []
    call.add_done_callback(lambda _: events.append("callback"))
    events.append(call.cancel())
    try:
        await call
    except asyncio.CancelledError:
        events.append("cancelled")
    events.extend((await call.code(), call.cancelled(), call.done()))
    return events


async def _give_up(channel: grpc.aio.Channel) -> list[object]:
    call = _begin(channel)
    events: list[object] = []
    try:
        async with asyncio.timeout(0.05):
            await call
    except TimeoutError:
        events.append("timeout")
    events.extend((await call.code(), call.cancelled()))
    return events


async def _read(channel: grpc.aio.Channel) -> list[object]:
    call = _stream(channel)
    events: list[object] = [await call.read(), await call.read(), (await call.read()) is grpc.aio.EOF]
    events.append(await call.code())
    return events


async def _iterate(channel: grpc.aio.Channel) -> list[object]:
    call = _stream(channel)
    events: list[object] = []
    try:
        async for response in call:
            events.append(response)  # noqa: PERF401 - what came before an error is wanted too
    except grpc.aio.AioRpcError as error:
        events.append(error.code())
    events.append(await call.code())
    return events


async def _write(channel: grpc.aio.Channel) -> list[object]:
    method: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary("/s/collect")
    call = method(timeout=5.0)
    await call.write(b"a")
    await call.write(b"b")
    await call.done_writing()
    return [await call, await call.code()]


async def _converse(channel: grpc.aio.Channel) -> list[object]:
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/s/converse")
    call = method(timeout=5.0)
    await call.write(b"a")
    await call.done_writing()
    return [await call.read(), await call.read(), (await call.read()) is grpc.aio.EOF, await call.code()]


@asynccontextmanager
async def real(kind: str) -> AsyncIterator[grpc.aio.Channel]:
    async def behave(context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        if kind == "silent":
            await asyncio.get_running_loop().create_future()
        if kind == "fail":
            await context.abort(grpc.StatusCode.INTERNAL, "told to", (("grpc-retry-pushback-ms", "70"),))

    async def complete(request: Requests) -> None:
        if not isinstance(request, bytes):
            async for _ in request:
                pass

    async def one(request: Requests, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await complete(request)
        await behave(context)
        return b"reply"

    async def many(request: Requests, context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        await complete(request)
        await behave(context)
        yield b"reply"
        yield b"reply"

    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "unary": grpc.unary_unary_rpc_method_handler(one),
        "stream": grpc.unary_stream_rpc_method_handler(many),
        "collect": grpc.stream_unary_rpc_method_handler(one),
        "converse": grpc.stream_stream_rpc_method_handler(many),
    }
    async with serving(handlers("s", methods)) as running, grpc.aio.insecure_channel(running.address) as channel:
        yield channel


@asynccontextmanager
async def simulated(kind: str) -> AsyncIterator[grpc.aio.Channel]:
    network = SimulatedNetwork(asyncio.get_running_loop(), new_rng(1), reply=Reply(b"reply", messages=2))
    network.add("server:1", BEHAVIOURS[kind])
    async with network.dial("server:1") as channel:
        yield channel


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (_unary, "ok"),
        (_unary, "fail"),
        (_deadline, "silent"),
        (_cancel, "silent"),
        (_give_up, "silent"),
        (_read, "ok"),
        (_iterate, "ok"),
        (_iterate, "fail"),
        (_write, "ok"),
        (_converse, "ok"),
    ],
)
async def test_what_happens_is_what_happens_with_grpc(script: Script, kind: str) -> None:
    # Both on the real clock, which the simulation does not care about.
    async with real(kind) as channel:
        expected = await script(channel)
    async with simulated(kind) as channel:
        assert await script(channel) == expected
