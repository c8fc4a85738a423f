"""What only its owner may read."""

import stat
from pathlib import Path

import pytest

from libs.cli.stack.private_file import write_private
from libs.cli.stack.secrets import Secrets


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_and_their_directory_are_the_owners_alone(tmp_path: Path) -> None:
    directory = tmp_path / "mesh"
    made = Secrets.load_or_make(directory)

    assert (mode(directory), mode(directory / "secrets.json")) == (0o700, 0o600)
    assert Secrets.load_or_make(directory) == made
    assert [path.name for path in directory.iterdir()] == ["secrets.json"]


def test_a_file_that_cannot_be_written_leaves_the_former(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "former")

    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")

    assert path.read_text() == "former"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
