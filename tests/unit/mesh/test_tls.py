import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from libs.mesh.faults import InvalidConfigurationError
from libs.mesh.tls import PemFiles, PemPaths, ReloadingCredentials, TlsFiles
from libs.testing.clock import ManualClock
from tests.integration.server.certificates import Authority


class Told:
    """Who is told of changes and of failures."""

    def __init__(self) -> None:
        self.changes = 0
        self.faults: list[str] = []

    def changed(self) -> None:
        self.changes += 1

    def failed(self, fault: str) -> None:
        self.faults.append(fault)


def issued(directory: Path, name: str = "me") -> TlsFiles:
    authority = Authority(directory)
    pair = authority.issue(name)
    return TlsFiles(authority.certificate, pair.certificate, pair.key)


def reissue(files: TlsFiles, directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    fresh = issued(directory)
    for old, new in ((files.ca, fresh.ca), (files.certificate, fresh.certificate), (files.key, fresh.key)):
        assert old is not None
        assert new is not None
        old.write_bytes(new.read_bytes())


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="together"):
        TlsFiles(tmp_path / "ca", certificate=tmp_path / "certificate")
    with pytest.raises(ValueError, match="above 0"):
        ReloadingCredentials(issued(tmp_path), ManualClock(), lambda: None, lambda fault: None, interval=0)


def test_names_every_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        PemFiles(PemPaths(tmp_path / "a", tmp_path / "b", tmp_path / "c"), Told().failed)
    assert [fault.split(":")[0] for fault in raised.value.faults] == ["ca", "certificate", "key"]
    assert "No such file" in raised.value.faults[0]


def test_names_every_file_that_cannot_be_understood(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("-----BEGIN NONSENSE-----")
    with pytest.raises(InvalidConfigurationError) as raised:
        PemFiles(PemPaths(tmp_path / "a", tmp_path / "b", tmp_path / "c"), Told().failed)
    assert [fault.partition("holds")[2] for fault in raised.value.faults] == [
        " no PEM certificate",
        " no PEM certificate",
        " no PEM private key",
    ]


def test_a_key_must_fit_and_be_readable(tmp_path: Path) -> None:
    files = issued(tmp_path)
    assert files.key is not None
    other = Authority(tmp_path, "other").issue("other").key
    with pytest.raises(InvalidConfigurationError, match="does not fit"):
        PemFiles(PemPaths(files.ca, files.certificate, other), Told().failed)
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(InvalidConfigurationError, match="is encrypted"):
        PemFiles(files.paths(), Told().failed)


def test_takes_only_a_set_that_is_whole(tmp_path: Path) -> None:
    told = Told()
    paths = issued(tmp_path).paths()
    assert paths.key is not None
    files = PemFiles(paths, told.failed)
    first = files.current
    assert not files.reload()
    key = paths.key.read_bytes()
    paths.key.write_bytes(Authority(tmp_path, "other").issue("other").key.read_bytes())
    assert not files.reload()
    assert not files.reload()
    assert files.current is first
    assert len(told.faults) == 1
    assert "does not fit" in repr(files)
    paths.key.unlink()
    assert not files.reload()
    assert not files.reload()
    assert ["cannot be read" in fault for fault in told.faults] == [False, True]
    paths.key.write_bytes(key)
    assert not files.reload()
    assert "valid" in repr(files)
    assert "PRIVATE" not in repr(files.current)


def test_tells_of_a_fault_that_comes_back(tmp_path: Path) -> None:
    told = Told()
    paths = issued(tmp_path).paths()
    assert paths.key is not None
    files = PemFiles(paths, told.failed)
    key = paths.key.read_bytes()
    for content in (b"broken", key, b"broken"):
        paths.key.write_bytes(content)
        assert not files.reload()
    assert len(told.faults) == 2


async def test_follows_its_files(tmp_path: Path) -> None:
    told, clock = Told(), ManualClock()
    files = issued(tmp_path)
    credentials = ReloadingCredentials(files, clock, told.changed, told.failed, interval=10)
    first = credentials.current()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(credentials.run())
        await clock.run(30)
        assert credentials.current() is first
        reissue(files, tmp_path / "next")
        await clock.run(9)
        assert told.changes == 0
        await clock.run(1)
        assert told.changes == 1
        second = credentials.current()
        assert second is not first
        files.ca.write_text("broken")
        await clock.run(30)
        assert credentials.current() is second
        running.cancel()
    assert (told.changes, len(told.faults)) == (1, 1)


def test_authorities_alone_will_do(tmp_path: Path) -> None:
    files = TlsFiles(Authority(tmp_path).certificate)
    credentials = ReloadingCredentials(files, ManualClock(), lambda: None, lambda fault: None)
    assert credentials.current() is not None
    assert "valid" in repr(credentials)
