"""A handful of replicas and what happens to them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.benchmarks.live.backend import Behaviour


@dataclass(frozen=True, slots=True)
class Replica:
    """One of them, seen from outside."""

    address: str
    """`127.0.0.1:<port>`."""
    process: asyncio.subprocess.Process

    def become(self, behaviour: Behaviour) -> None:
        """Tell it how to answer from now on, or kill it (SIGKILL)."""
        if behaviour is Behaviour.KILLED:
            self.process.kill()
            return
        assert self.process.stdin is not None
        self.process.stdin.write(f"{behaviour.value}\n".encode())


@asynccontextmanager
async def replicas(count: int, seed: int) -> AsyncIterator[Sequence[Replica]]:
    """`count` fresh ones, all well, until the block ends.

    Args:
        count: how many.
        seed: of the spread of their answers' times; each draws its own.
    """
    async with AsyncExitStack() as stack:
        processes = [await _start(seed + index) for index in range(count)]
        for process in processes:
            stack.push_async_callback(_end, process)
        yield [Replica(f"127.0.0.1:{await _port(process)}", process) for process in processes]


async def _start(seed: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.live.backend",
        str(seed),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    return int(await process.stdout.readline())


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
