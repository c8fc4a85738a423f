"""Builds the simulator from its settings, listens, and stops in order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import orjson
from aiohttp import web
from aiohttp.web_request import BaseRequest

from libs.core.clock import Clock, SystemClock
from libs.core.rng import new_rng
from libs.telemetry import logs
from services.model_simulator.app import App
from services.model_simulator.catalogue import Catalogue
from services.model_simulator.faults import Faults
from services.model_simulator.latency import Latency
from services.model_simulator.limits import LimitOptions, RateLimits
from services.model_simulator.prompt_cache import PromptCache
from services.model_simulator.settings import SimulatorSettings
from services.model_simulator.simulator import Simulator
from services.model_simulator.statistics import Statistics

SERVICE: Final = "model_simulator"


def build(settings: SimulatorSettings, clock: Clock) -> Simulator:
    """The simulated provider, with nothing served yet."""
    return Simulator(
        catalogue=Catalogue(settings.model_ids, settings.context_tokens, settings.max_output_tokens),
        limits=RateLimits(
            LimitOptions(
                settings.requests_per_minute, settings.input_tokens_per_minute, settings.output_tokens_per_minute
            ),
            clock,
        ),
        prompt_cache=PromptCache(clock, settings.prompt_cache_minimum_tokens, settings.prompt_cache_entries),
        faults=Faults(new_rng(settings.seed)),
        # Another sequence than the faults': how many calls fail must not change how long the others take.
        latency=Latency(
            settings.first_token_median_ms,
            settings.first_token_sigma,
            settings.output_token_ms,
            new_rng(settings.seed + 1),
        ),
        statistics=Statistics(),
    )


@asynccontextmanager
async def serving(settings: SimulatorSettings, clock: Clock) -> AsyncIterator[str]:
    """Listen while the block runs; gives the `host:port` that was bound."""
    app = App(build(settings, clock), clock, logs.get("simulator"), settings.max_body_bytes)
    loop = asyncio.get_running_loop()
    # Cancelling the handler when its client goes away is what makes a cancelled call stop, and count as one.
    server = web.Server(
        app,
        access_log=None,
        handler_cancellation=True,
        request_factory=partial(BaseRequest, loop=loop, client_max_size=settings.max_body_bytes),
    )
    runner = web.ServerRunner(server, shutdown_timeout=settings.drain_grace)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        host, port = runner.addresses[0][:2]
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


async def run(settings: SimulatorSettings) -> None:
    """Serve until SIGTERM or SIGINT; calls in flight have `drain_grace` seconds to end."""
    log = logs.get("process")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings, SystemClock()) as address:
        if settings.ready_file:
            _announce(Path(settings.ready_file), address)
        log.info("server.started", http=address, pid=os.getpid())
        await stop.wait()
        log.info("server.stopping", grace_seconds=settings.drain_grace)
    log.info("server.stopped")


def _announce(path: Path, address: str) -> None:
    # Written aside and renamed: whoever waits for the file never reads half of it.
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_bytes(orjson.dumps({"http": address, "pid": os.getpid()}))
    aside.replace(path)
