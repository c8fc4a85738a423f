"""The example as a process: what an operator sees of its start and its end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

_ROOT = Path(__file__).parents[3]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    everything = os.environ.items()  # noqa: TID251 - a child process inherits PATH and the like
    inherited = {name: value for name, value in everything if not name.startswith("AGENTMESH_")}
    return {**inherited, **settings, "PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'protos' / 'gen'}"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.integration.server", *arguments]


@contextmanager
def started(settings: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        command(), cwd=_ROOT, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def event(process: "subprocess.Popen[str]", name: str) -> dict[str, object]:
    assert process.stdout is not None
    for line in process.stdout:
        entry: dict[str, object] = json.loads(line)
        if entry["event"] == name:
            return entry
    raise AssertionError(f"the process ended without {name}")


def test_every_faulty_setting_is_listed_and_the_process_stops() -> None:
    faulty = {"AGENTMESH_GRPC_ADDRESS": "nowhere", "AGENTMESH_MAX_CONCURRENT_CALLS": "0", "AGENTMESH_LOG_FORMAT": "xml"}

    ended = subprocess.run(
        command(), cwd=_ROOT, env=environment(faulty), check=False, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 2
    for name in faulty:
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_explains_the_settings() -> None:
    ended = subprocess.run(
        command("--help"), cwd=_ROOT, env=environment({}), check=False, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 0
    assert "AGENTMESH_DRAIN_GRACE" in ended.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_the_process(tmp_path: Path, number: signal.Signals) -> None:
    ready_file = tmp_path / "ready.json"
    with started({"AGENTMESH_READY_FILE": str(ready_file), "AGENTMESH_DRAIN_WAIT": "0"}) as process:
        event(process, "server.started")
        ready = json.loads(ready_file.read_text())
        assert ready["pid"] == process.pid
        with grpc.insecure_channel(ready["grpc"]) as connection:
            watch = HealthStub(connection).Watch(HealthCheckRequest(service=""), timeout=30)
            assert any(response.status == HealthCheckResponse.SERVING for response in watch)
            watch.cancel()

        process.send_signal(number)

        event(process, "server.stopped")
        assert process.wait(timeout=30) == 0
    assert not ready_file.exists()
