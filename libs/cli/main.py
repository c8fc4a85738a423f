"""The `agentmesh` command."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentmesh.auth.v1.auth_pb2 import CreateApiKeyRequest
from libs.cli import keys
from libs.cli.channels import mesh as run_mesh
from libs.cli.chat import chat as run_chat
from libs.cli.demo.run import demo as run_demo
from libs.cli.profile import profile as run_profile
from libs.cli.stack.mesh import default_directory
from libs.cli.stack.plans import StackOptions
from libs.cli.stack.process import StartError
from libs.cli.state import Access, MeshState, NoMeshError
from libs.cli.status import status as run_status
from libs.cli.up import up as run_up
from libs.client.requests import Options, Tier
from libs.core.clock import SystemClock
from libs.core.errors import MeshError
from libs.core.ids import new_request_id
from libs.store.embedded import RedisNotFoundError, RedisStartError

app = typer.Typer(
    help="Run, use and look after an agentmesh.", no_args_is_help=True, pretty_exceptions_show_locals=False
)
keys_app = typer.Typer(help="Tenants and API keys.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
_console = Console()
_ANTHROPIC_KEY = "ANTHROPIC_API_KEY"
_FORESEEN = (
    MeshError,
    NoMeshError,
    RedisNotFoundError,
    RedisStartError,
    StartError,
    subprocess.CalledProcessError,
)

Directory = Annotated[
    Path, typer.Option(help="Where data, logs and secrets of the local mesh live.", default_factory=default_directory)
]
TenantId = Annotated[str, typer.Option("--tenant", help="The tenant's id.")]


@app.command()
def up(
    directory: Directory,
    replicas: Annotated[str, typer.Option(help="Processes by service: conversation=2,memory=2.")] = "",
    port: Annotated[int, typer.Option(help="Port of the front door (conversation).", min=0, max=65535)] = 50051,
) -> None:
    """Run Redis, every service and, unless ANTHROPIC_API_KEY is set, the model simulator, until Ctrl-C."""
    options = _checked(
        lambda: StackOptions(
            directory,
            replicas=_replicas(replicas),
            anthropic_api_key=os.environ.get(_ANTHROPIC_KEY, ""),
            front_door_port=port,
        )
    )
    asyncio.run(run_up(options, _console))


@app.command()
def demo(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, all else to stderr.")] = False,
) -> None:
    """Hold a real conversation through every service; status 0 only if every step does what it says."""
    if not asyncio.run(run_demo(os.environ.get(_ANTHROPIC_KEY, ""), as_json=json)):
        raise typer.Exit(1)


@app.command()
def chat(
    directory: Directory,
    message: Annotated[str, typer.Argument(help="Say this alone; without it, talk.")] = "",
    tier: Annotated[str, typer.Option(help="fast, balanced or deep.")] = "",
    model: Annotated[str, typer.Option(help="A model of the catalogue.")] = "",
    system: Annotated[str, typer.Option(help="Instructions for the agent.")] = "",
    language: Annotated[str, typer.Option(help="To answer in, such as de-CH.")] = "",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep cached answers.")] = False,
) -> None:
    """Talk to the agent: the mesh of `agentmesh up`, or the one of AGENTMESH_TARGET and AGENTMESH_API_KEY."""
    options = Options(tier=_tier(tier), model=model, bypass_cache=no_cache, language=language)
    asyncio.run(run_chat(Access.find(directory), options, system, message, _console))


@app.command()
def status(directory: Directory) -> None:
    """Show every process, its health, and the last minutes; status 1 if one does not serve."""
    if not asyncio.run(run_status(MeshState.load(directory), _console)):
        raise typer.Exit(1)


@app.command()
def mesh(
    directory: Directory,
    once: Annotated[bool, typer.Option("--once", help="Draw one table and end.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Watch how every process balances its calls: endpoints, breakers, load, ejections. Ctrl-C ends it."""
    with suppress(KeyboardInterrupt):
        asyncio.run(run_mesh(MeshState.load(directory), _console, SystemClock(), once=once, interval=interval))


@app.command()
def profile(
    service: Annotated[str, typer.Argument(help="Such as conversation or model-router.")],
    directory: Directory,
    seconds: Annotated[int, typer.Option(min=1, max=600, help="How long to record.")] = 10,
    output: Annotated[Path, typer.Option(help="Folder for the flame graph.")] = Path("profiles"),
) -> None:
    """Record a flame graph (SVG) of a service of the running mesh with py-spy."""
    _console.print(str(run_profile(MeshState.load(directory), service, seconds, output)))


@keys_app.command("create-tenant")
def create_tenant(directory: Directory, name: Annotated[str, typer.Argument(help="What people call it.")]) -> None:
    """Make a tenant (operators)."""
    state = MeshState.load(directory)
    asyncio.run(keys.create_tenant(state.auth_target, state.root_key, name, _console))


@keys_app.command("create")
def create_key(
    directory: Directory,
    tenant: TenantId,
    user: Annotated[str, typer.Option(help="The user that calls with the key act as.")] = "",
    name: Annotated[str, typer.Option(help="What people call the key.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="May be given several times; default: chat.")] = None,
) -> None:
    """Make an API key and show it, this once."""
    state = MeshState.load(directory)
    request = CreateApiKeyRequest(
        request_id=new_request_id(), tenant_id=tenant, user_id=user, display_name=name, scopes=scope or []
    )
    asyncio.run(keys.create(state.auth_target, state.root_key, request, _console))


@keys_app.command("list")
def list_keys(directory: Directory, tenant: TenantId) -> None:
    """List a tenant's keys."""
    state = MeshState.load(directory)
    asyncio.run(keys.list_keys(state.auth_target, state.root_key, tenant, _console))


@keys_app.command("revoke")
def revoke_key(directory: Directory, key_id: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """End a key's life at once."""
    state = MeshState.load(directory)
    asyncio.run(keys.revoke(state.auth_target, state.root_key, key_id, _console))


def main() -> None:
    """Run the command; failures that people can do something about are one red line and their log, status 1."""
    try:
        app()
    except _FORESEEN as error:
        Console(stderr=True).print(_failure(error), highlight=False, soft_wrap=True)
        sys.exit(1)


def _failure(error: Exception) -> Text:
    # As text and not as markup: logs are full of square brackets.
    line, newline, log = str(error).partition("\n")
    return Text.assemble((line, "red"), newline, log.rstrip())


def _replicas(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, count = (word.strip() for word in part.partition("="))
        if not name or not count.isdecimal():
            raise ValueError(f"{part!r} is not of the form service=number")
        service = name.replace("-", "_")
        if service in counts:
            raise ValueError(f"{name} is given twice")
        counts[service] = int(count)
    return counts


def _tier(text: str) -> Tier:
    match text:
        case "" | "fast" | "balanced" | "deep":
            return text
        case _:
            raise typer.BadParameter(f"--tier must be fast, balanced or deep, not {text!r}")


def _checked(make: Callable[[], StackOptions]) -> StackOptions:
    try:
        return make()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
