"""What a script costs our process: on the shared pipelined connection, and through redis-py's own pool.

    python -m tests.benchmarks.store [--calls 20000]

Both sides run the same script against the same Redis in turn; the figure is this process's own processor time a call.
"""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable

import uvloop

from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from libs.store.script import Script
from tests.benchmarks.load import closed_loop, print_figures, print_table

_SCRIPT = "return redis.call('INCR', KEYS[1])"
_ROUNDS = 3


async def measure(store: Store, calls: int) -> list[tuple[str, int, float, float]]:
    """Side, callers at a time, microseconds a call and calls a second; the best of three rounds."""
    script = Script(store, _SCRIPT)
    registered = store.redis.register_script(_SCRIPT)

    async def shared(number: int) -> None:
        await script(keys=["benchmark"])

    async def pooled(number: int) -> None:
        await registered(keys=["benchmark"])

    sides: dict[str, Callable[[int], Awaitable[None]]] = {"redis_py": pooled, "shared": shared}
    best: dict[tuple[str, int], tuple[float, float]] = {}
    for _ in range(_ROUNDS):
        for concurrency in (1, 16):
            for name, call in sides.items():
                measured = await closed_loop(call, calls, concurrency, {"self": os.getpid()})
                figures = (1000 * measured.cpu_ms_per_call, measured.per_second)
                best[name, concurrency] = min(best.get((name, concurrency), figures), figures)
    return [(name, concurrency, *figures) for (name, concurrency), figures in best.items()]


async def run(calls: int) -> list[tuple[str, int, float, float]]:
    """With a Redis of its own."""
    with EmbeddedRedis() as redis:
        async with connect(redis.url) as store:
            return await measure(store, calls)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="calls of each side in a round")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(run(parser.parse_args().calls))
    print_table(
        ("side", "callers", "us a call", "per s"),
        [(name, callers, f"{cost:.1f}", f"{rate:.0f}") for name, callers, cost, rate in rows],
    )
    print()
    print_figures({f"{name}_{callers}_us": round(cost, 1) for name, callers, cost, _ in rows})


if __name__ == "__main__":
    main()
