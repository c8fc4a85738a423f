"""One process of the local mesh: started, watched, stopped."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from libs.config.settings import PREFIX

_POLL_SECONDS: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1
# A service reads AGENTMESH_ variables, whoever set them; the Anthropic SDK reads its own.
_WITHHELD: Final = (PREFIX, "ANTHROPIC_")


class StartError(RuntimeError):
    """A process did not come up; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a process is started."""

    name: str
    """Unique in the mesh, such as `conversation-1`."""
    service: str
    """Such as `conversation`."""
    arguments: tuple[str, ...]
    """After `python -m`."""
    environment: Mapping[str, str]


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a process gets of our own environment: neither the model provider's key nor settings meant for others."""
    return {name: value for name, value in environment.items() if not name.startswith(_WITHHELD)}


class Process:
    """A running process and what it announced once it was ready."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan: Final = plan
        self._ready_file: Final = directory / f"{plan.name}.ready.json"
        self.log_file: Final = directory / f"{plan.name}.log"
        self._child: asyncio.subprocess.Process | None = None
        self.announced: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Process({self.plan.name}, pid={self.pid}, alive={self.alive})"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.returncode is None

    @property
    def pid(self) -> int:
        """Its process id, 0 before the start."""
        return self._child.pid if self._child is not None else 0

    async def start(self) -> None:
        """Start it; `wait_ready` tells when it listens."""
        self._ready_file.unlink(missing_ok=True)
        self.announced = {}
        environment = {
            **inherited(os.environ),
            **self.plan.environment,
            "AGENTMESH_READY_FILE": str(self._ready_file),
            "PYTHONUNBUFFERED": "1",
        }
        with self.log_file.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self.plan.arguments,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    async def wait_ready(self, timeout: float) -> None:
        """Return once it listens.

        Raises:
            StartError: it ended, or took longer than `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self._ready_file.exists():
                    if not self.alive:
                        raise StartError(f"{self.plan.name} ended while starting:\n{self.log_tail()}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise StartError(f"{self.plan.name} was not ready after {timeout:g} s:\n{self.log_tail()}") from None
        self.read_announcement()

    def read_announcement(self) -> None:
        """Take over what the process says about itself; OSError if it does not listen yet."""
        self.announced = {key: str(value) for key, value in json.loads(self._ready_file.read_text()).items()}

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        if self._child is not None and self.alive:
            self._child.send_signal(number)

    async def stop(self, patience: float) -> None:
        """SIGTERM, and SIGKILL if it has not drained after `patience` seconds."""
        if self._child is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience):
                await self._child.wait()
        except TimeoutError:
            self._child.kill()
            await self._child.wait()

    def log_tail(self, size_bytes: int = 3000) -> str:
        """The end of its log."""
        if not self.log_file.exists():
            return "(no log)"
        return self.log_file.read_bytes()[-size_bytes:].decode("utf-8", "replace")


def _die_with_parent() -> None:
    # Runs in the child before its program: however this process ends, no service is left behind.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
