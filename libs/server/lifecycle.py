"""From start to drain: what runs when, and what ends before what.

start: telemetry, channels, the service, gRPC (NOT_SERVING), the admin port, background work, SERVING when ready
drain: NOT_SERVING, wait until clients have noticed, let calls finish, stop background work, then the rest
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Final, NamedTuple

import grpc

from libs.core.clock import Clock
from libs.core.errors import MeshError
from libs.core.rng import Rng
from libs.core.signals import on_first_signal
from libs.server.address import Address
from libs.server.admin import admin_port
from libs.server.grpc_server import bind, build_server
from libs.server.health import Health
from libs.server.mesh_page import mesh_page
from libs.server.readiness import Readiness, ReadinessOptions
from libs.server.runtime import Build, Runtime, S, open_runtime
from libs.server.settings import ServerSettings
from libs.server.spec import ServiceSpec
from libs.telemetry.telemetry import Telemetry

_RESTART_DELAY: Final = 1.0


class Bound(NamedTuple):
    """Where a running service listens."""

    grpc: Address
    admin: Address


class Process(NamedTuple):
    """What a process brings along, whatever it serves."""

    clock: Clock
    rng: Rng
    telemetry: Telemetry


@asynccontextmanager
async def serving(name: str, settings: S, build: Build[S], process: Process) -> AsyncIterator[Bound]:
    """Serve inside the block and drain at its end. Enter and leave it in the same task.

    Raises:
        ValueError: a method has no policy.
        RuntimeError, OSError: an address is taken, or a TLS file cannot be read.
        ExceptionGroup: background work failed with something that is not a lost dependency.
    """
    async with (
        open_runtime(name, settings, process.clock, process.rng, process.telemetry) as runtime,
        build(settings, runtime) as spec,
        _running(settings, runtime, spec) as bound,
    ):
        yield bound


@asynccontextmanager
async def _running(settings: ServerSettings, runtime: Runtime, spec: ServiceSpec) -> AsyncIterator[Bound]:
    health = Health(spec.services)
    readiness = Readiness(
        spec.readiness, health.publish, runtime.telemetry, runtime.clock, ReadinessOptions(settings.readiness_interval)
    )
    server = build_server(settings, runtime, spec, health)
    grpc_address = bind(server, settings)
    metrics = runtime.telemetry.metrics
    routes = (mesh_page(runtime.peers.statistics), *spec.routes)
    async with (
        admin_port(Address.parse(settings.admin_address), readiness, metrics, routes) as admin_address,
        asyncio.TaskGroup() as tasks,
    ):
        await server.start()
        work = [tasks.create_task(readiness.run())]
        work += [tasks.create_task(_kept_running(run, runtime)) for run in spec.background]
        try:
            yield Bound(grpc_address, admin_address)
        finally:
            await _drain(server, health, settings, runtime)
            for task in work:
                task.cancel()


async def _drain(server: grpc.aio.Server, health: Health, settings: ServerSettings, runtime: Runtime) -> None:
    runtime.telemetry.log.info("server.draining", wait_seconds=settings.drain_wait, grace_seconds=settings.drain_grace)
    health.drain()
    try:
        await runtime.clock.sleep(settings.drain_wait)
    finally:
        health.close()
        await server.stop(settings.drain_grace)


async def _kept_running(run: Callable[[], Awaitable[None]], runtime: Runtime) -> None:
    while True:
        try:
            await run()
        except (MeshError, grpc.RpcError) as error:
            runtime.telemetry.log.warning("background.restarted", work=repr(run), fault=str(error))
        else:
            return
        await runtime.clock.sleep(_RESTART_DELAY)


def stop_on_signals(stop: asyncio.Event) -> AbstractContextManager[None]:
    """Set `stop` at the first SIGTERM or SIGINT; the second one ends the process at once."""
    return on_first_signal(stop.set)
