"""Runs the demo's steps on a mesh of their own and prints what came of them."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from libs.cli.demo.steps import STEPS, Stage, Step, StepResult, help_desk
from libs.cli.stack.mesh import LocalMesh
from libs.cli.stack.plans import StackOptions
from libs.cli.tenants import make_local_tenant
from libs.client.aio import AgentMesh
from libs.core.clock import Clock, SystemClock
from libs.core.errors import MeshError
from libs.core.money import format_usd

# A model's pace, so that text can be seen to stream and a replica can be killed in the middle of an answer.
_WIDTH: Final = 130
_PACE: Final = {"AGENTMESH_FIRST_TOKEN_MEDIAN_MS": "300", "AGENTMESH_OUTPUT_TOKEN_MS": "8"}
# A new tenant is served by meaning after some experience, and the sooner the more errors it allows: a demo is short.
_DARING: Final = {"AGENTMESH_MAX_WRONG_RATE": "0.05"}


async def demo(anthropic_api_key: str, *, as_json: bool) -> bool:
    """Run every step; whether all did what they say. As JSON, one object is all that is printed to stdout."""
    console = Console(stderr=as_json)
    if not console.is_terminal:
        # Into a file or a pipe a table may be as wide as it needs to be.
        console.width = _WIDTH
    with tempfile.TemporaryDirectory(prefix="agentmesh-demo-") as directory:
        options = StackOptions(
            Path(directory),
            replicas={"conversation": 2},
            anthropic_api_key=anthropic_api_key,
            settings={"model_simulator": _PACE, "semantic_cache": _DARING},
        )
        # Two hundred calls of a real model are more than a demo should cost.
        steps = [step for step in STEPS if step is not help_desk or not anthropic_api_key]
        results = await _play(options, steps, console)
    console.print(_table(results))
    ok = all(result.ok for result in results) and len(results) == len(steps)
    console.print(_summary(results, ok, simulated=not anthropic_api_key))
    if as_json:
        print(json.dumps({"ok": ok, "steps": [asdict(result) for result in results], "total": _total(results)}))
    return ok


async def _play(options: StackOptions, steps: Sequence[Step], console: Console) -> list[StepResult]:
    clock = SystemClock()
    results: list[StepResult] = []
    with console.status("Starting Redis, the model simulator and every service ..."):
        mesh = await LocalMesh(options).__aenter__()
    try:
        key = await make_local_tenant(mesh.target("auth"), mesh.secrets.root_key, user_id="demo")
        async with AgentMesh(mesh.conversation_target, key) as client:
            stage = Stage(mesh, client, clock, lambda text: console.print(text, end="", highlight=False, markup=False))
            for step in steps:
                results.append(result := await _step(step, stage, clock))
                console.print(f"{'[green]✓' if result.ok else '[red]✗'}[/] {result.name}: {result.detail}")
    finally:
        with console.status("Draining ..."):
            await mesh.__aexit__(None, None, None)
    return results


async def _step(step: Step, stage: Stage, clock: Clock) -> StepResult:
    started = clock.monotonic()
    try:
        return await step(stage)
    except (MeshError, ExceptionGroup, RuntimeError) as error:
        return StepResult(step.__name__, ok=False, detail=_why(error), seconds=clock.monotonic() - started)


def _why(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def _table(results: Sequence[StepResult]) -> Table:
    table = Table(title="What each step took, cost and saved", title_justify="left", header_style="bold")
    for heading in ("step", "result", "ms", "model", "cache", "tokens in", "out", "cost", "saved"):
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left")
    for result in results:
        table.add_row(
            result.name,
            "[green]ok[/]" if result.ok else "[red]failed[/]",
            f"{result.seconds * 1000:.0f}",
            result.model,
            result.cache_layer,
            str(result.input_tokens),
            str(result.output_tokens),
            format_usd(result.cost_usd_micros),
            format_usd(result.saved_usd_micros),
        )
    return table


_NUMBERS: Final = frozenset({"ms", "tokens in", "out", "cost", "saved"})


def _total(results: Sequence[StepResult]) -> dict[str, int]:
    return {
        "cost_usd_micros": sum(result.cost_usd_micros for result in results),
        "saved_usd_micros": sum(result.saved_usd_micros for result in results),
    }


def _summary(results: Sequence[StepResult], ok: bool, *, simulated: bool) -> str:
    total = _total(results)
    money = f"cost {format_usd(total['cost_usd_micros'])}, saved {format_usd(total['saved_usd_micros'])}"
    prices = " (simulated answers at list prices)" if simulated else ""
    return f"{'[green]Every step did what it says' if ok else '[red]A step failed'}[/]: {money}{prices}."
