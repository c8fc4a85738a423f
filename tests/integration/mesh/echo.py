"""The service the mesh is tested against, in bytes; also a process to be killed: `python echo.py` prints its port."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc

from libs.testing.inprocess import Register, handlers

SERVICE = "test.Echo"
Context = grpc.aio.ServicerContext[bytes, bytes]


@dataclass
class Echo:
    """Answers with what it was sent; `fail` makes it answer with a code for so many calls, `hold` with silence."""

    name: str = "echo"
    fail: int = 0
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    trailing: tuple[tuple[str, str | bytes], ...] = ()
    after: int = 0
    """Responses of a stream before it fails."""
    hold: asyncio.Event | None = None
    calls: int = 0
    metadata: dict[str, str | bytes] = field(default_factory=dict)
    remaining: float = 0.0
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    def registration(self) -> Register:
        return handlers(
            SERVICE,
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                "Down": grpc.unary_stream_rpc_method_handler(self.down),
                "Up": grpc.stream_unary_rpc_method_handler(self.up),
                "Both": grpc.stream_stream_rpc_method_handler(self.both),
            },
        )

    async def unary(self, request: bytes, context: Context) -> bytes:
        await self._enter(context)
        await self._maybe_fail(context)
        return request

    async def down(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        await self._enter(context)
        for index in range(self.after if self.fail else int(request)):
            yield b"%d" % index
        await self._maybe_fail(context)

    async def up(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        await self._enter(context)
        received = [request async for request in requests]
        await self._maybe_fail(context)
        return b"".join(received)

    async def both(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        await self._enter(context)
        async for request in requests:
            yield request

    async def _enter(self, context: Context) -> None:
        self.calls += 1
        self.metadata = dict(context.invocation_metadata() or ())
        self.remaining = context.time_remaining()
        self.started.set()
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

    async def _maybe_fail(self, context: Context) -> None:
        if self.fail:
            self.fail -= 1
            await context.abort(self.code, "as told", self.trailing)


class EchoStub:
    """What generated code would make of the service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/Unary")
        self.down: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"/{SERVICE}/Down")
        self.up: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(f"/{SERVICE}/Up")
        self.both: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/Both")


async def main() -> None:
    server = grpc.aio.server()
    Echo().registration()(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
