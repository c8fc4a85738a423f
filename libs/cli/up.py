"""`agentmesh up`: the whole mesh on this machine, with a live table of its health."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from libs.cli.stack.mesh import LocalMesh
from libs.cli.stack.plans import StackOptions
from libs.cli.stack.process import Process
from libs.cli.state import MeshState, ProcessState
from libs.cli.tenants import make_local_tenant

_REFRESH_SECONDS: Final = 1.0


async def up(options: StackOptions, console: Console) -> None:
    """Run the mesh until SIGINT or SIGTERM, starting again what ends by itself; then drain it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    mesh = LocalMesh(options)
    with console.status("Starting Redis and the services; the embedding model takes some seconds ..."):
        starting = await _unless_stopped(mesh, stop)
    if not starting:
        return
    try:
        state = await describe(mesh)
        state.save(mesh.directory)
        console.print(_welcome(state, simulated=bool(mesh.simulator_url)))
        await _watch(mesh, stop, console)
    finally:
        MeshState.forget(mesh.directory)
        with console.status("Draining ..."):
            await mesh.stop()
    console.print("Stopped.")


async def describe(mesh: LocalMesh) -> MeshState:
    """The running mesh as other commands need to know it, with a key to use it."""
    monitoring = mesh.of("monitoring")
    processes = [
        ProcessState(
            process.plan.name,
            process.plan.service,
            process.pid,
            process.announced.get("grpc", ""),
            process.announced.get("admin", ""),
        )
        for process in mesh.processes
    ]
    return MeshState(
        conversation_target=mesh.conversation_target,
        auth_target=mesh.target("auth"),
        api_key=await make_local_tenant(mesh.target("auth"), mesh.secrets.root_key),
        root_key=mesh.secrets.root_key,
        dashboard_url=f"{mesh.admin_url(monitoring[0])}/dashboard" if monitoring else "",
        processes=processes,
    )


async def _unless_stopped(mesh: LocalMesh, stop: asyncio.Event) -> bool:
    """Start the mesh; False if it was stopped before it was up."""
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(stop.wait())
        starting = group.create_task(mesh.__aenter__())
        await asyncio.wait({stopping, starting}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if starting.done():
            return starting.exception() is None
        starting.cancel()
    return False


async def _watch(mesh: LocalMesh, stop: asyncio.Event, console: Console) -> None:
    restarts: dict[str, int] = {}
    with Live(console=console, auto_refresh=False) as live:
        while not stop.is_set():
            health = {process.plan.name: await mesh.serving(process) for process in mesh.processes}
            live.update(_table(mesh, health, restarts), refresh=True)
            for process in mesh.processes:
                if not process.alive and not stop.is_set():
                    restarts[process.plan.name] = restarts.get(process.plan.name, 0) + 1
                    await process.start()
                elif not process.announced:
                    with contextlib.suppress(OSError):
                        process.read_announcement()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REFRESH_SECONDS):
                    await stop.wait()


def _table(mesh: LocalMesh, health: Mapping[str, bool], restarts: Mapping[str, int]) -> Table:
    table = Table(title="agentmesh", title_justify="left", header_style="bold")
    for heading in ("process", "health", "gRPC", "admin", "pid", "restarts"):
        table.add_column(heading, justify="right" if heading in ("pid", "restarts") else "left")
    for process in mesh.processes:
        table.add_row(*_row(process, health[process.plan.name], restarts.get(process.plan.name, 0)))
    return table


def _row(process: Process, serving: bool, restarts: int) -> tuple[str | Text, ...]:
    status = Text("serving", "green") if serving else Text("not serving" if process.alive else "ended", "red")
    announced = process.announced
    return (
        process.plan.name,
        status,
        announced.get("grpc", announced.get("http", "")),
        announced.get("admin", ""),
        str(process.pid),
        str(restarts or ""),
    )


def _welcome(state: MeshState, *, simulated: bool) -> str:
    model = "simulated answers (set ANTHROPIC_API_KEY for real ones)" if simulated else "Anthropic's API"
    return (
        f"\n[bold]The mesh is up[/bold], with {model}.\n"
        f"  talk to it    agentmesh chat\n"
        f"  look at it    {state.dashboard_url}\n"
        f"  call it       {state.conversation_target.removeprefix('static:///')} (gRPC, reflection is on)\n"
        f"  with          authorization: Bearer {state.api_key}\n"
        f"  stop it       Ctrl-C\n"
    )
