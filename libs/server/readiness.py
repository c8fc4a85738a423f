"""Are the dependencies there? Asked every second, told to health checks and to /readyz."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import grpc

from libs.core.clock import Clock
from libs.core.errors import MeshError
from libs.telemetry.catalogue import SERVER_READY
from libs.telemetry.telemetry import Telemetry

_UNCHECKED: Final = "not checked yet"

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ReadinessOptions:
    """How dependencies are asked."""

    interval: float = 1.0
    """Seconds between rounds."""
    check_timeout: float = 2.0
    """Seconds after which a dependency that does not answer counts as lost."""


class Readiness:
    """What is known about each dependency. Nothing is ready before its first successful check.

    Args:
        checks: by the dependency's name; each raises when it is lost.
        publish: is told whenever the overall answer may have changed.
        telemetry: where changes are reported.
        clock: paces the checks.
        options: pace and patience.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        publish: Callable[[bool], None],
        telemetry: Telemetry,
        clock: Clock,
        options: ReadinessOptions | None = None,
    ) -> None:
        self._checks = dict(checks)
        self._publish = publish
        self._log = telemetry.log
        self._gauge = telemetry.metrics.gauge(SERVER_READY)
        self._clock = clock
        self._options = options if options is not None else ReadinessOptions()
        self._faults: dict[str, str] = dict.fromkeys(checks, _UNCHECKED)
        self._checked = False

    @property
    def ready(self) -> bool:
        """Whether every dependency answered when it was last asked."""
        return self._checked and not self._faults

    def faults(self) -> Mapping[str, str]:
        """What is wrong, by dependency; empty if nothing is."""
        return dict(self._faults)

    async def run(self) -> None:
        """Check, publish, wait; until cancelled."""
        while True:
            await self.check()
            await self._clock.sleep(self._options.interval)

    async def check(self) -> None:
        """Ask every dependency once, all at the same time, and publish the answer."""
        async with asyncio.TaskGroup() as tasks:
            for name, check in self._checks.items():
                tasks.create_task(self._ask(name, check))
        self._checked = True
        self._publish(self.ready)

    async def _ask(self, name: str, check: Check) -> None:
        try:
            async with asyncio.timeout(self._options.check_timeout):
                await check()
        except (MeshError, grpc.RpcError, OSError, TimeoutError) as error:
            self._lost(name, f"{type(error).__name__}: {error}")
        else:
            self._found(name)

    def _lost(self, name: str, fault: str) -> None:
        if self._faults.get(name, _UNCHECKED) == _UNCHECKED:
            self._log.warning("dependency.lost", dependency=name, fault=fault)
        self._faults[name] = fault
        self._gauge.labels(name).set(0)

    def _found(self, name: str) -> None:
        if self._faults.pop(name, None) is not None:
            self._log.info("dependency.found", dependency=name)
        self._gauge.labels(name).set(1)

    def __repr__(self) -> str:
        return f"Readiness(ready={self.ready}, faults={self._faults})"
