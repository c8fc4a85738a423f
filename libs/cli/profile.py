"""`agentmesh profile`: a flame graph of a running service, recorded by py-spy."""

import subprocess
import sys
from pathlib import Path

from libs.cli.state import MeshState, NoMeshError


def profile(state: MeshState, service: str, seconds: int, directory: Path) -> Path:
    """Record the first replica of a service for `seconds`; the path of the SVG.

    Raises:
        NoMeshError: no such service runs, or py-spy is not installed.
        subprocess.CalledProcessError: py-spy failed; it has said why.
    """
    wanted = service.replace("-", "_")
    matching = [process for process in state.processes if process.service == wanted]
    if not matching:
        running = ", ".join(sorted({process.service for process in state.processes}))
        raise NoMeshError(f"No {service!r} runs here; there are {running}.")
    py_spy = Path(sys.executable).with_name("py-spy")
    if not py_spy.exists():
        raise NoMeshError("py-spy is not installed here: `pip install py-spy` (it comes with the `cli` extra).")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{matching[0].name}.svg"
    command = [str(py_spy), "record", "--pid", str(matching[0].pid), "--duration", str(seconds), "--output", str(path)]
    subprocess.run(command, check=True)
    return path
