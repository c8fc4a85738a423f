"""What a MeshChannel costs beside a bare grpc.aio channel to the same server, in one run.

    python -m tests.benchmarks.channel_overhead [--calls 2000] [--rounds 15]

Both sides call a bare echo in a process of its own, alternating round after round; which goes first alternates too.
The bare channel's calls carry nothing, not even a deadline; the mesh's carry what its defaults put on every call.

    unary 64   closed loop, 64 callers
    unary 1    closed loop, one caller
    stream     closed loop, 16 callers, each call answered with 200 messages; counted in messages

`ratio` is calls a second through the mesh over calls a second without it (64 callers), the median of the rounds' own
ratios; `cpu_ratio` is the same of calls a second of processor time (both processes), which a busy machine disturbs
less. `pick_us` is what one pick by the default policy takes, by the number of endpoints.
"""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

import grpc
import uvloop

from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.mesh.channel import MeshChannel
from libs.mesh.options import DEFAULT_OPTIONS
from libs.mesh.picker.policies import PolicyOptions, make_policy
from tests.benchmarks.echo_server import ECHO, REPEAT, REPETITIONS, echo_server
from tests.benchmarks.load import Round, closed_loop, print_figures, print_table
from tests.benchmarks.pick import busy_endpoints, pick_us

Call = Callable[[int], Awaitable[object]]
_ENDPOINTS: Final = (10, 100, 1000)
_PAYLOAD: Final = b"x" * 100
_WARM_UP: Final = 2


@dataclass(frozen=True, slots=True)
class Load:
    """A way of calling."""

    name: str
    callers: int
    share: float
    """Of `--calls`, so that every load takes about as long."""
    messages: int = 1
    """That a call is answered with."""


_LOADS: Final = (Load("unary_64", 64, 1.0), Load("unary_1", 1, 0.3), Load("stream", 16, 0.04, REPETITIONS))
_SIDES: Final = ("bare", "mesh")

Rounds = dict[tuple[str, str], list[Round]]
"""By load and side."""


def calls_through(channel: grpc.aio.Channel) -> dict[str, Call]:
    """How each load calls, by its name."""
    echo: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ECHO)
    repeat: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(REPEAT)

    async def unary(number: int) -> None:
        await echo(_PAYLOAD)

    async def stream(number: int) -> None:
        async for _ in repeat(_PAYLOAD):
            pass

    return {"unary_64": unary, "unary_1": unary, "stream": stream}


async def measure(arguments: argparse.Namespace) -> Rounds:
    """Both sides, load after load, round after round."""
    rounds: Rounds = {}
    async with (
        echo_server() as (address, server),
        grpc.aio.insecure_channel(address, (("grpc.enable_http_proxy", 0),)) as bare,
        MeshChannel(f"static:///{address}") as mesh,
    ):
        sides = {"bare": calls_through(bare), "mesh": calls_through(mesh)}
        watched = {"client": os.getpid(), "server": server}
        for number in range(_WARM_UP + arguments.rounds):
            for load in _LOADS:
                for side in _SIDES if number % 2 else reversed(_SIDES):
                    calls = max(load.callers, round(load.share * arguments.calls))
                    measured = await closed_loop(sides[side][load.name], calls, load.callers, watched)
                    if number >= _WARM_UP:
                        rounds.setdefault((load.name, side), []).append(measured)
    return rounds


def pick_costs() -> dict[int, float]:
    """Microseconds a pick by the default policy, by the number of endpoints."""
    clock = SystemClock()
    costs = {}
    for number in _ENDPOINTS:
        policy = make_policy(DEFAULT_OPTIONS.effective_policy, PolicyOptions(), clock, new_rng(1))
        costs[number] = pick_us(policy, busy_endpoints(policy, number, clock))
    return costs


def report(rounds: Rounds, picks: Mapping[int, float]) -> None:
    """The table and the figures."""
    figures: dict[str, object] = {}
    rows = []
    for load in _LOADS:
        for side in _SIDES:
            measured = rounds[load.name, side]
            rate = load.messages * median([one.per_second for one in measured])
            cpu = 1000 * median([one.cpu_ms_per_call for one in measured]) / load.messages
            p50, p99 = (median([one.percentile_ms(share) for one in measured]) for share in (0.5, 0.99))
            rows.append((load.name.replace("_", " "), side, f"{rate:.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{cpu:.1f}"))
            figures[f"{load.name}_{side}_per_s"] = round(rate, 1)
            figures[f"{load.name}_{side}_cpu_us"] = round(cpu, 1)
    print_table(("load", "side", "per s", "p50 ms", "p99 ms", "cpu us"), rows)
    print("\npick, us: " + ", ".join(f"{cost:.2f} of {number}" for number, cost in picks.items()) + "\n")
    for key, load_name in (("ratio", "unary_64"), ("single_ratio", "unary_1"), ("stream_ratio", "stream")):
        figures[key] = round(_ratio(rounds, load_name), 3)
        figures[key.replace("ratio", "cpu_ratio")] = round(_cpu_ratio(rounds, load_name), 3)
    figures |= {f"pick_us_{number}": round(cost, 2) for number, cost in picks.items()}
    print_figures(figures | {"pick_us": round(max(picks.values()), 2)})


def _ratio(rounds: Rounds, load_name: str) -> float:
    pairs = zip(rounds[load_name, "mesh"], rounds[load_name, "bare"], strict=True)
    return median([mesh.per_second / bare.per_second for mesh, bare in pairs])


def _cpu_ratio(rounds: Rounds, load_name: str) -> float:
    pairs = zip(rounds[load_name, "mesh"], rounds[load_name, "bare"], strict=True)
    return median([bare.cpu_ms_per_call / mesh.cpu_ms_per_call for mesh, bare in pairs])


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000, help="calls of each side in a round")
    parser.add_argument("--rounds", type=int, default=15, help="measured rounds")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rounds = runner.run(measure(arguments))
    report(rounds, pick_costs())


if __name__ == "__main__":
    main()
