"""Replicas in processes of their own that can be killed, stopped and cut off; also such a process: prints its port."""

import asyncio
import signal
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, Self

import grpc

from libs.core.clock import Clock, SystemClock
from libs.testing.inprocess import handlers

UNARY: Final = "/test.Replica/Unary"

_SERVICE_TIME: Final = 0.01
"""Seconds an answer takes, so that a few callers do not take the whole processor."""
_ROOT: Final = Path(__file__).parents[3]


class Faulty(Protocol):
    """A replica and the one thing that can befall it."""

    @property
    def address(self) -> str:
        """Where callers find it, before and after."""
        ...

    async def fail(self) -> None:
        """Let it happen."""
        ...

    async def recover(self) -> None:
        """Be as before."""
        ...


class Backend:
    """A server process that keeps its port when it is started again. Its methods block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Answers when it listens."""
        command = (sys.executable, "-m", "tests.integration.mesh.faulty_backend", str(self._port))
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, if it is there; answers when it is gone."""
        if self._process is not None:
            with self._process:
                self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


class Killed:
    """SIGKILL, and another process on the same port."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Final = backend
        self.address: Final = backend.address

    async def fail(self) -> None:
        self._backend.kill()

    async def recover(self) -> None:
        await asyncio.to_thread(self._backend.start)


class Stopped:
    """SIGSTOP: connections stay, nobody answers; then SIGCONT."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Final = backend
        self.address: Final = backend.address

    async def fail(self) -> None:
        self._backend.signal(signal.SIGSTOP)

    async def recover(self) -> None:
        self._backend.signal(signal.SIGCONT)


class Proxy:
    """A TCP proxy: the network between callers and one replica."""

    def __init__(self, backend: str) -> None:
        self._backend: Final = backend
        self._passing: Final = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._writers: Final[set[StreamWriter]] = set()
        self._port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def listen(self) -> None:
        """Accept connections; on the same port as the time before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def hold(self) -> None:
        """Be a black hole: connections open and stay, nothing gets through."""
        self._passing.clear()

    def release(self) -> None:
        """Pass on what was held, and what comes."""
        self._passing.set()

    def reset(self) -> None:
        """Break every connection; new ones are accepted."""
        for writer in self._writers:
            writer.transport.abort()

    def refuse(self) -> None:
        """Break every connection and refuse new ones, until `listen`."""
        if self._server is not None:
            self._server.close()
        self.reset()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.release()
        self.refuse()
        if self._server is not None:
            await self._server.wait_closed()

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.add(writer)
        try:
            # A broken connection ends both directions; which one noticed first does not matter.
            with suppress(OSError):
                await self._relay(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        host, port = self._backend.split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, far_writer))
                group.create_task(self._pump(far_reader, writer))
        except* OSError:
            pass
        finally:
            self._writers.discard(far_writer)
            far_writer.transport.abort()

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        while received := await reader.read(65536):
            await self._passing.wait()
            writer.write(received)
            await writer.drain()
        # The other direction would wait for ever.
        raise ConnectionResetError


class Refused:
    """Every connection is broken and new ones are refused."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy: Final = proxy
        self.address: Final = proxy.address

    async def fail(self) -> None:
        self._proxy.refuse()

    async def recover(self) -> None:
        await self._proxy.listen()


class BlackHoled:
    """Connections open and stay, nothing gets through."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy: Final = proxy
        self.address: Final = proxy.address

    async def fail(self) -> None:
        self._proxy.hold()

    async def recover(self) -> None:
        self._proxy.release()


def answering(clock: Clock) -> Callable[[grpc.aio.Server], None]:
    """The servicer: an echo that takes its time."""

    async def unary(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await clock.sleep(_SERVICE_TIME)
        return request

    return handlers("test.Replica", {"Unary": grpc.unary_unary_rpc_method_handler(unary)})


async def main() -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    answering(SystemClock())(server)
    port = server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
