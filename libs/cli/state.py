"""What the commands remember about the mesh that runs here, so that `chat` needs no arguments after `up`."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

from libs.cli.stack.private_file import write_private

_FILE: Final = "mesh.json"
TARGET_VARIABLE: Final = "AGENTMESH_TARGET"
KEY_VARIABLE: Final = "AGENTMESH_API_KEY"


class NoMeshError(RuntimeError):
    """Nothing tells where a mesh is; says how to find or start one."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process of a running mesh."""

    name: str
    service: str
    pid: int
    grpc: str
    admin: str


@dataclass(frozen=True, slots=True)
class MeshState:
    """A mesh that `agentmesh up` runs."""

    conversation_target: str
    auth_target: str
    api_key: str
    """A key of the tenant `local`, for trying things out."""
    root_key: str
    """The operators' key."""
    dashboard_url: str
    processes: list[ProcessState] = field(default_factory=list)

    def save(self, directory: Path) -> None:
        """Keep it where `load` finds it, for its owner alone."""
        write_private(directory / _FILE, json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The mesh of the directory; NoMeshError if none runs."""
        path = directory / _FILE
        if not path.exists():
            raise NoMeshError(
                f"No mesh runs here. Start one with `agentmesh up`, or set {TARGET_VARIABLE} and {KEY_VARIABLE}."
            )
        stored = json.loads(path.read_text())
        return cls(**{**stored, "processes": [ProcessState(**process) for process in stored["processes"]]})

    @staticmethod
    def forget(directory: Path) -> None:
        """It runs no more."""
        (directory / _FILE).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Access:
    """Where to talk to, and with which credential."""

    target: str
    credential: str

    @classmethod
    def find(cls, directory: Path) -> Self:
        """From the environment, otherwise from the mesh that runs here."""
        target, key = os.environ.get(TARGET_VARIABLE, ""), os.environ.get(KEY_VARIABLE, "")
        if target and key:
            return cls(target, key)
        state = MeshState.load(directory)
        return cls(target or state.conversation_target, key or state.api_key)
