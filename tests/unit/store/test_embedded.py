import importlib.util
import shutil

import pytest

from libs.store import embedded


def test_without_a_binary_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(embedded.RedisNotFoundError, match=r"pip install 'agentmesh\[local\]'"):
        embedded.find_binary()


def test_a_server_on_path_is_the_second_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: "/opt/valkey-server" if name == "valkey-server" else None)
    assert embedded.find_binary() == "/opt/valkey-server"
