"""How fast the model simulator is: it must not be what another benchmark measures.

    python -m tests.benchmarks.simulator [--calls 6000] [--concurrency 32]

One simulator process, one client process; the client writes raw HTTP/1.1 on kept-alive connections, since an SDK would
be the slower side. Every prompt is different, so nothing is answered from a memo.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import uvloop

from libs.cli.stack.process import Plan, Process
from tests.benchmarks.load import Round, closed_loop, print_figures, print_table

_START_SECONDS = 30.0
_WARM_UP_CALLS = 500


class Connection:
    """One kept-alive connection to the simulator."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, number: int, *, stream: bool) -> None:
        """One call, its whole answer read."""
        question = {"role": "user", "content": f"What is the square of {number}?"}
        body = orjson.dumps(
            {"model": "claude-sonnet-5-5", "max_tokens": 1024, "messages": [question], "stream": stream}
        )
        self._writer.write(
            b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-sim-bench-1\r\n"
            b"anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        lowered = head.lower()
        if b"transfer-encoding: chunked" in lowered:
            await self._reader.readuntil(b"0\r\n\r\n")
        else:
            length = int(lowered.split(b"content-length: ")[1].split(b"\r\n")[0])
            await self._reader.readexactly(length)


@asynccontextmanager
async def simulator() -> AsyncIterator[Process]:
    """A simulator of its own."""
    with tempfile.TemporaryDirectory(prefix="agentmesh-bench-") as directory:
        process = Process(Plan("simulator", "model_simulator", ("services.model_simulator",), {}), Path(directory))
        await process.start()
        await process.wait_ready(_START_SECONDS)
        yield process
        await process.stop(_START_SECONDS)


async def measure(arguments: argparse.Namespace) -> dict[str, Round]:
    """Whole answers, then streamed ones."""
    async with simulator() as process:
        host, port = process.announced["http"].split(":")
        free = [Connection(*await asyncio.open_connection(host, port)) for _ in range(arguments.concurrency)]
        asked = 0

        async def whole(number: int) -> None:
            await ask(stream=False)

        async def streamed(number: int) -> None:
            await ask(stream=True)

        async def ask(*, stream: bool) -> None:
            nonlocal asked
            asked += 1
            connection = free.pop()
            await connection.ask(asked, stream=stream)
            free.append(connection)

        rounds = {}
        for call in (whole, streamed):
            await closed_loop(call, _WARM_UP_CALLS, arguments.concurrency, {})
            watched = {"simulator": process.pid}
            rounds[call.__name__] = await closed_loop(call, arguments.calls, arguments.concurrency, watched)
    return rounds


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=6000, help="calls of each kind")
    parser.add_argument("--concurrency", type=int, default=32, help="connections, each with one call at a time")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rounds = runner.run(measure(parser.parse_args()))
    print_table(
        ("answers", "per s", "p50 ms", "p99 ms", "simulator cpu ms"),
        [
            (
                name,
                f"{one.per_second:.0f}",
                f"{one.percentile_ms(0.5):.2f}",
                f"{one.percentile_ms(0.99):.2f}",
                f"{one.cpu_ms_per_call:.3f}",
            )
            for name, one in rounds.items()
        ],
    )
    print()
    print_figures({f"{name}_per_s": round(one.per_second, 1) for name, one in rounds.items()})


if __name__ == "__main__":
    main()
