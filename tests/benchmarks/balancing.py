"""What goes wrong in fleets, and what callers notice of it under each policy, in virtual time.

    python -m tests.benchmarks.balancing [--seeds 5] [--scenario slow --scenario storm] [--policy peak_ewma]

The real channel runs over a simulated network (tests/simulation/scenarios.py); a figure is the worst of the seeds.
The same seeds give the same figures on every machine.
"""

import argparse
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple

from libs.mesh.options import MeshOptions
from libs.mesh.picker.policies import PolicyName, PolicyOptions
from libs.testing.virtual_loop import run_virtual
from tests.benchmarks.load import print_figures, print_table
from tests.simulation import scenarios

_POLICIES: Final[tuple[PolicyName, ...]] = ("round_robin", "least_request", "peak_ewma")
_ZONES: Final = ("a", "b", "c")
Figures = Mapping[str, float]


async def _slow(seed: int, policy: PolicyName) -> Figures:
    return _noticed(await scenarios.slow_backend(seed, _without_retries(policy)))


async def _fast_failing(seed: int, policy: PolicyName) -> Figures:
    return _noticed(await scenarios.fast_failing(seed, _without_retries(policy)))


async def _flapping(seed: int, policy: PolicyName) -> Figures:
    return _noticed(await scenarios.flapping(seed, _without_retries(policy)))


async def _cold_start(seed: int, policy: PolicyName) -> Figures:
    result = await scenarios.cold_start(seed, MeshOptions(policy=policy))
    return {**_noticed(result.joined), "early_share": result.early_share, "late_share": result.late_share}


async def _zone_loss(seed: int, policy: PolicyName) -> Figures:
    options = {zone: MeshOptions(policy=policy, policies=PolicyOptions(zone=zone)) for zone in _ZONES}
    result = await scenarios.zone_loss(seed, options)
    return {
        "success": result.success_while_lost,
        "local_share": result.local_share,
        "busiest": result.busiest,
        "shed": result.shed,
    }


async def _storm(seed: int, policy: PolicyName) -> Figures:
    eager = MeshOptions(policy=policy, service_config=scenarios.RETRY_TIMEOUTS)
    return _storm_figures(await scenarios.retry_storm(seed, eager))


async def _outage(seed: int, policy: PolicyName) -> Figures:
    return _storm_figures(await scenarios.retry_storm(seed, MeshOptions(policy=policy), scenarios.GONE))


async def _restart(seed: int, policy: PolicyName) -> Figures:
    return _noticed(await scenarios.rolling_restart(seed, MeshOptions(policy=policy)))


async def _kill(seed: int, policy: PolicyName) -> Figures:
    return _noticed(await scenarios.rolling_restart(seed, MeshOptions(policy=policy), drain=0.0))


async def _many_clients(seed: int, policy: PolicyName) -> Figures:
    result = await scenarios.many_clients(seed, MeshOptions(policy=policy))
    return {**_noticed(result), "spread": result.spread}


_SCENARIOS: Final[Mapping[str, Callable[[int, PolicyName], Coroutine[object, None, Figures]]]] = {
    "slow": _slow,
    "fast_failing": _fast_failing,
    "flapping": _flapping,
    "cold_start": _cold_start,
    "zone_loss": _zone_loss,
    "storm": _storm,
    "outage": _outage,
    "restart": _restart,
    "kill": _kill,
    "many_clients": _many_clients,
}
_MORE_IS_BETTER: Final = frozenset({"success", "local_share", "late_share"})
# Key of the last line: scenario, policy, figure.
_GOALS: Final[Mapping[str, tuple[str, PolicyName, str]]] = {
    "slow_rr_success": ("slow", "round_robin", "success"),
    "slow_ewma_success": ("slow", "peak_ewma", "success"),
    "slow_ewma_p999_ms": ("slow", "peak_ewma", "p999_ms"),
    "failfast_ewma_success": ("fast_failing", "peak_ewma", "success"),
    "flapping_ewma_success": ("flapping", "peak_ewma", "success"),
    "cold_start_p99_ms": ("cold_start", "peak_ewma", "p99_ms"),
    "zone_loss_success": ("zone_loss", "peak_ewma", "success"),
    "retry_storm_load": ("storm", "peak_ewma", "load"),
    "retry_storm_recovery_s": ("storm", "peak_ewma", "recovery_s"),
    "rolling_restart_success": ("restart", "peak_ewma", "success"),
    "many_clients_spread": ("many_clients", "peak_ewma", "spread"),
}


class Run(NamedTuple):
    """One scenario under one policy with one seed."""

    scenario: str
    policy: PolicyName
    seed: int


def measure(run: Run) -> Figures:
    """What came of it."""
    return run_virtual(_SCENARIOS[run.scenario](run.seed, run.policy))


def worst(figures: Sequence[Figures]) -> Figures:
    """Of every figure the worst."""
    return {name: (min if name in _MORE_IS_BETTER else max)(each[name] for each in figures) for name in figures[0]}


def _without_retries(policy: PolicyName) -> MeshOptions:
    return MeshOptions(policy=policy, service_config={})


def _noticed(result: scenarios.Result) -> dict[str, float]:
    return {
        "success": result.success,
        "p50_ms": result.p50_ms,
        "p99_ms": result.p99_ms,
        "p999_ms": result.p999_ms,
    }


def _storm_figures(result: scenarios.RetryStorm) -> Figures:
    return {"load": result.load, "peak_load": result.peak, "recovery_s": result.recovery_s}


def _run_all(runs: Sequence[Run], processes: int) -> dict[tuple[str, PolicyName], list[Figures]]:
    results: dict[tuple[str, PolicyName], list[Figures]] = {}
    with ProcessPoolExecutor(processes) as pool:
        for run, figures in zip(runs, pool.map(measure, runs), strict=True):
            results.setdefault((run.scenario, run.policy), []).append(figures)
            print(f"{run.scenario}, {run.policy}, seed {run.seed}", file=sys.stderr)
    return results


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many runs of each")
    parser.add_argument("--scenario", action="append", choices=tuple(_SCENARIOS), help="only this one; may be repeated")
    parser.add_argument("--policy", action="append", choices=_POLICIES, help="only this one; may be repeated")
    parser.add_argument("--processes", type=int, default=2, help="how many runs at a time")
    arguments = parser.parse_args()
    names: Sequence[str] = arguments.scenario or tuple(_SCENARIOS)
    policies: Sequence[PolicyName] = arguments.policy or _POLICIES
    runs = [Run(name, policy, seed) for name in names for policy in policies for seed in range(arguments.seeds)]
    results = {key: worst(figures) for key, figures in _run_all(runs, arguments.processes).items()}
    for name in names:
        print(f"\n{name}")
        rows = [(policy, *map(_rounded, results[name, policy].values())) for policy in policies]
        print_table(("policy", *results[name, policies[0]]), rows)
    print_figures(
        {
            key: round(results[scenario, policy][figure], 6)
            for key, (scenario, policy, figure) in _GOALS.items()
            if (scenario, policy) in results
        }
    )


def _rounded(figure: float) -> str:
    return f"{figure:.5f}" if figure < 10 else f"{figure:.1f}"


if __name__ == "__main__":
    main()
