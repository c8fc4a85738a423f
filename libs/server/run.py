"""The whole of a service's `__main__`: settings, telemetry, serve until told to stop."""

import asyncio
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import uvloop

from libs.config.settings import load
from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.server.lifecycle import Bound, Process, serving, stop_on_signals
from libs.server.runtime import Build, S
from libs.server.settings import ServerSettings
from libs.telemetry import logs
from libs.telemetry.metrics import Metrics
from libs.telemetry.telemetry import Telemetry
from libs.telemetry.traces import Tracing


def run_service(name: str, settings_type: type[S], build: Build[S]) -> None:
    """Run a service until SIGTERM or SIGINT, then drain it.

    Args:
        name: the service's name: the domain of its errors and the `service` of its log lines.
        settings_type: its settings; `--help` explains them, faults are listed and end the process with status 2.
        build: its bootstrap, an asynccontextmanager from settings and runtime to a `ServiceSpec`.
    """
    settings = load(settings_type, sys.argv[1:])
    logs.configure(name, settings.log_level, settings.log_format)
    if settings.batch_scheduling:
        # Before there is a second thread: threads begin with the policy of the one that starts them.
        _schedule_as_batch()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_signalled(name, settings, build))


async def serve_until_signalled(name: str, settings: S, build: Build[S]) -> None:
    """Serve with the machine's own clock and chance until a signal comes."""
    stop = asyncio.Event()
    tracing = Tracing(name, settings.otlp_endpoint, settings.trace_sample_ratio)
    telemetry = Telemetry(logs.get("server"), Metrics(name), tracing)
    process = Process(SystemClock(), new_rng(), telemetry)
    try:
        with stop_on_signals(stop):
            async with serving(name, settings, build, process) as bound:
                with _announced(settings, bound, telemetry):
                    # What start-up made lives as long as the process: keep it out of every collection.
                    gc.collect()
                    gc.freeze()
                    gc.set_threshold(100_000, 20, 100)
                    await stop.wait()
    finally:
        tracing.shutdown()
    telemetry.log.info("server.stopped")


def _schedule_as_batch() -> None:
    # gRPC's threads are woken for every message and would each time push the event loop off its core (docs/adr/0011).
    if sys.platform == "linux":
        # A container may forbid it; nothing but a little processor time depends on it.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


@contextmanager
def _announced(settings: ServerSettings, bound: Bound, telemetry: Telemetry) -> Iterator[None]:
    addresses = {"grpc": str(bound.grpc), "admin": str(bound.admin), "pid": os.getpid()}
    path = settings.ready_file
    if path is not None:
        _write_atomically(path, orjson.dumps(addresses))
    telemetry.log.info("server.started", **addresses)
    try:
        yield
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
