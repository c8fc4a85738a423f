"""`agentmesh up`: the whole mesh on this machine, with a live table of its health."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from libs.cli.stack.mesh import LocalMesh
from libs.cli.stack.plans import StackOptions
from libs.cli.stack.process import Process
from libs.cli.stack.restarts import Restarts
from libs.cli.state import MeshState, ProcessState
from libs.cli.tenants import make_local_tenant
from libs.core.clock import SystemClock
from libs.core.signals import on_first_signal

_REFRESH_SECONDS: Final = 1.0


async def up(options: StackOptions, console: Console) -> None:
    """Run the mesh until SIGINT or SIGTERM, starting again what ends by itself; then drain it.

    Raises:
        RedisNotFoundError, RedisStartError, StartError: something did not come up; all else is stopped again.
    """
    async with until_signalled(), AsyncExitStack() as running:
        with console.status("Starting Redis and the services; the embedding model takes some seconds ..."):
            mesh = await running.enter_async_context(LocalMesh(options))
            api_key = await make_local_tenant(mesh.target("auth"), mesh.secrets.root_key)
        running.callback(console.print, "Draining ...")
        running.callback(MeshState.forget, mesh.directory)
        state = describe(mesh, api_key)
        state.save(mesh.directory)
        console.print(_welcome(state, simulated=bool(mesh.simulator_url)))
        await _watch(mesh, api_key, console)
    console.print("Stopped.")


@asynccontextmanager
async def until_signalled() -> AsyncIterator[None]:
    """The block is cancelled, and left without an error, at the first SIGINT or SIGTERM.

    What it had begun is undone by its own context managers; a second signal does not wait for them.
    """
    try:
        # Without a time it is a scope that can be cancelled; asyncio has no other.
        async with asyncio.timeout(None) as scope:
            with on_first_signal(lambda: scope.reschedule(0.0)):
                yield
    except TimeoutError:
        # One may also be the block's own.
        if not scope.expired():
            raise


def describe(mesh: LocalMesh, api_key: str) -> MeshState:
    """The running mesh as other commands need to know it, with a key to use it."""
    monitoring = mesh.of("monitoring")
    return MeshState(
        conversation_target=mesh.conversation_target,
        auth_target=mesh.target("auth"),
        api_key=api_key,
        root_key=mesh.secrets.root_key,
        dashboard_url=f"{mesh.admin_url(monitoring[0])}/dashboard" if monitoring else "",
        processes=[
            ProcessState(
                process.plan.name,
                process.plan.service,
                process.pid,
                process.announced.get("grpc", ""),
                process.announced.get("admin", ""),
            )
            for process in mesh.processes
        ],
    )


async def _watch(mesh: LocalMesh, api_key: str, console: Console) -> None:
    restarts = Restarts(SystemClock())
    with Live(console=console, auto_refresh=False) as live:
        while True:
            health = {process.plan.name: await mesh.serving(process) for process in mesh.processes}
            live.update(_table(mesh, health, restarts.counts), refresh=True)
            for name, serving in health.items():
                restarts.served(name, serving)
            if await _revive(mesh, restarts):
                # With another process id and another admin port.
                describe(mesh, api_key).save(mesh.directory)
            await asyncio.sleep(_REFRESH_SECONDS)


async def _revive(mesh: LocalMesh, restarts: Restarts) -> bool:
    """Start again what has ended; whether a process that was started again listens now."""
    listens = False
    for process in mesh.processes:
        if not process.alive:
            if restarts.due(process.plan.name):
                await process.start()
        elif not process.announced:
            with suppress(OSError):
                process.read_announcement()
                listens = True
    return listens


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
