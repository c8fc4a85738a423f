"""A bare grpc.aio server in a process of its own that answers at once, with one message or with many.

What a hop costs before anybody adds anything. Prints the port it listens on, and ends when its standard input does.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc
import uvloop

SERVICE: Final = "agentmesh.benchmarks.Echoes"
ECHO: Final = f"/{SERVICE}/Echo"
REPEAT: Final = f"/{SERVICE}/Repeat"
REPETITIONS: Final = 200
"""Messages of one `Repeat`."""

_Context = grpc.aio.ServicerContext[bytes, bytes]


@asynccontextmanager
async def echo_server() -> AsyncIterator[tuple[str, int]]:
    """The server in a process of its own: its address and the process's id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    yield f"127.0.0.1:{int(await process.stdout.readline())}", process.pid
    process.stdin.close()
    await process.wait()


async def _echo(request: bytes, context: _Context) -> bytes:
    return request


async def _repeat(request: bytes, context: _Context) -> AsyncIterator[bytes]:
    for _ in range(REPETITIONS):
        yield request


async def main() -> None:
    """Serve until the parent goes."""
    server = grpc.aio.server()
    echo: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_echo)
    repeat: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(_repeat)
    handler = grpc.method_handlers_generic_handler(SERVICE, {"Echo": echo, "Repeat": repeat})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0.5)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
