"""A closed loop of callers, and what it measured."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Round:
    """One side's part of one round."""

    calls: int
    seconds: float
    latencies: tuple[float, ...]
    """Seconds each, sorted."""
    cpu_seconds: Mapping[str, float]
    """Processor time by process during the round."""

    @property
    def per_second(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds

    def percentile_ms(self, share: float) -> float:
        """The latency that `share` (0 to 1) of the calls stayed below, in milliseconds."""
        return 1000 * self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]

    @property
    def cpu_ms_per_call(self) -> float:
        """Processor time of all processes together, in milliseconds a call."""
        return 1000 * sum(self.cpu_seconds.values()) / self.calls


async def closed_loop(
    call: Callable[[int], Awaitable[object]], calls: int, concurrency: int, watched: Mapping[str, int]
) -> Round:
    """`calls` calls by `concurrency` callers, each calling again as soon as it is answered.

    Args:
        call: makes call number i.
        calls: how many in all.
        concurrency: how many at a time.
        watched: processes (name to id) whose processor time is measured.
    """
    latencies: list[float] = []
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            begun = time.perf_counter()
            await call(number)
            latencies.append(time.perf_counter() - begun)

    before = _cpu(watched)
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(caller())
    seconds = time.perf_counter() - started
    after = _cpu(watched)
    return Round(calls, seconds, tuple(sorted(latencies)), {name: after[name] - before[name] for name in watched})


def _cpu(watched: Mapping[str, int]) -> dict[str, float]:
    times = {name: psutil.Process(pid).cpu_times() for name, pid in watched.items()}
    return {name: spent.user + spent.system for name, spent in times.items()}


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns wide enough for what is in them."""
    text = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in text) for column in range(len(headings))]
    for row in text:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_figures(figures: Mapping[str, object]) -> None:
    """The last line of stdout."""
    print(json.dumps(figures))
