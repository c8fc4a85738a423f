"""What `up` leaves behind for the other commands."""

import stat
from pathlib import Path

import pytest

from libs.cli.state import KEY_VARIABLE, TARGET_VARIABLE, Access, MeshState, NoMeshError, ProcessState

_STATE = MeshState(
    conversation_target="static:///127.0.0.1:50051",
    auth_target="static:///127.0.0.1:16000",
    api_key="amk_key",
    root_key="root",
    dashboard_url="http://127.0.0.1:9/dashboard",
    processes=[ProcessState("auth-0", "auth", 7, "127.0.0.1:16000", "127.0.0.1:9")],
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TARGET_VARIABLE, raising=False)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_a_mesh_is_found_as_it_was_saved(tmp_path: Path) -> None:
    _STATE.save(tmp_path)

    assert MeshState.load(tmp_path) == _STATE
    assert Access.find(tmp_path) == Access(_STATE.conversation_target, _STATE.api_key)


def test_only_the_owner_reads_its_keys_even_if_an_older_file_was_open_to_all(tmp_path: Path) -> None:
    (tmp_path / "mesh.json").write_text("{}")
    (tmp_path / "mesh.json").chmod(0o644)

    _STATE.save(tmp_path)

    assert stat.S_IMODE((tmp_path / "mesh.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["mesh.json"]


def test_without_a_mesh_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NoMeshError) as raised:
        MeshState.load(tmp_path)

    assert str(raised.value) == (
        "No mesh runs here. Start one with `agentmesh up`, or set AGENTMESH_TARGET and AGENTMESH_API_KEY."
    )


def test_a_mesh_that_was_stopped_is_forgotten(tmp_path: Path) -> None:
    _STATE.save(tmp_path)

    MeshState.forget(tmp_path)
    MeshState.forget(tmp_path)

    with pytest.raises(NoMeshError):
        Access.find(tmp_path)


def test_the_environment_wins_over_the_mesh_that_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TARGET_VARIABLE, "dns:///elsewhere:443")
    monkeypatch.setenv(KEY_VARIABLE, "amk_other")

    assert Access.find(tmp_path) == Access("dns:///elsewhere:443", "amk_other")

    monkeypatch.delenv(KEY_VARIABLE)
    _STATE.save(tmp_path)
    assert Access.find(tmp_path) == Access("dns:///elsewhere:443", "amk_key")
