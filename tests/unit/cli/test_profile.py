"""A profile that cannot be taken."""

import sys
from pathlib import Path

import pytest

from libs.cli.profile import profile
from libs.cli.state import MeshState, NoMeshError, ProcessState

_STATE = MeshState("", "", "", "", "", [ProcessState("auth-0", "auth", 7, "127.0.0.1:1", "127.0.0.1:2")])


def test_a_service_that_does_not_run_is_named_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(NoMeshError, match="No 'memory' runs here; there are auth"):
        profile(_STATE, "memory", 1, tmp_path)


def test_without_py_spy_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(NoMeshError, match="pip install py-spy"):
        profile(_STATE, "auth", 1, tmp_path / "profiles")

    assert not (tmp_path / "profiles").exists()
