"""Callers that do not wait for each other, and what they noticed."""

import asyncio
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import grpc

from libs.core.rng import Rng
from libs.testing.simulation.latency import exponential

Call = Callable[[float], grpc.aio.UnaryUnaryCall[bytes, bytes]]
"""Makes one call with a timeout in seconds."""


@dataclass(frozen=True, slots=True)
class Workload:
    """An open loop: calls arrive whether or not the earlier ones were answered.

    Attributes:
        rate: calls a second by all clients together, above 0.
        seconds: how long calls arrive.
        timeout: seconds that each call is given.
        poisson: whether calls arrive at random instants, or evenly spaced.
    """

    rate: float
    seconds: float
    timeout: float = 1.0
    poisson: bool = True

    def __post_init__(self) -> None:
        if not (self.rate > 0 and self.seconds > 0 and self.timeout > 0):
            raise ValueError(f"rate, seconds and timeout must be above 0, got {self}")


class Recording:
    """How every call of a workload went, in the order in which they ended."""

    def __init__(self) -> None:
        self._arrivals: Final = array("d")
        self._latencies: Final = array("d")
        self._codes: Final = array("b")

    def add(self, arrived: float, seconds: float, code: grpc.StatusCode) -> None:
        """Note a call that was made `arrived` seconds after the workload's begin, and what came of it."""
        self._arrivals.append(arrived)
        self._latencies.append(seconds)
        self._codes.append(code.value[0])

    @property
    def calls(self) -> int:
        """How many there were."""
        return len(self._codes)

    @property
    def failures(self) -> int:
        """How many did not end with OK."""
        return self.calls - self._codes.count(0)

    def count(self, code: grpc.StatusCode) -> int:
        """How many ended with `code`."""
        return self._codes.count(code.value[0])

    def success(self, since: float = 0.0, until: float = float("inf")) -> float:
        """The share of OK among the calls made in that span (seconds since the begin); 1 if there were none."""
        total = failed = 0
        for arrived, code in zip(self._arrivals, self._codes, strict=True):
            if since <= arrived < until:
                total += 1
                failed += code != 0
        return 1.0 - failed / total if total else 1.0

    def percentile(self, share: float) -> float:
        """Seconds that `share` (0 to 1) of all calls, failed ones included, stayed below or met."""
        ordered = sorted(self._latencies)
        return ordered[max(0, ceil(share * len(ordered)) - 1)]

    def recovered(self, since: float, success: float, width: float = 0.5) -> float:
        """Seconds after `since` from which on every span of `width` seconds had at least that share of OK.

        Infinite if the last span had not.
        """
        total: dict[int, int] = {}
        failed: dict[int, int] = {}
        for arrived, code in zip(self._arrivals, self._codes, strict=True):
            if arrived >= since:
                span = int((arrived - since) / width)
                total[span] = total.get(span, 0) + 1
                failed[span] = failed.get(span, 0) + (code != 0)
        bad = [span for span, count in total.items() if count - failed[span] < success * count]
        if not bad:
            return 0.0
        return float("inf") if max(bad) == max(total) else (max(bad) + 1) * width

    def __repr__(self) -> str:
        return f"<Recording of {self.calls} calls, {self.failures} failed>"


async def offer(workload: Workload, clients: Sequence[Call], rng: Rng) -> Recording:
    """Make the calls, each by a client drawn at random, and wait for all of them to end."""
    recording = Recording()
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def make(client: Call) -> None:
        made = loop.time()
        try:
            await client(workload.timeout)
        except grpc.aio.AioRpcError as error:
            code = error.code()
        else:
            code = grpc.StatusCode.OK
        recording.add(made - begin, loop.time() - made, code)

    async with asyncio.TaskGroup() as group:
        finished: asyncio.Future[None] = loop.create_future()

        def arrive(due: float) -> None:
            client = clients[rng.randrange(len(clients))] if len(clients) > 1 else clients[0]
            group.create_task(make(client))
            spacing = 1.0 / workload.rate
            following = due + (exponential(rng, spacing) if workload.poisson else spacing)
            if following < begin + workload.seconds:
                loop.call_at(following, arrive, following)
            else:
                finished.set_result(None)

        arrive(begin)
        await finished
    return recording
