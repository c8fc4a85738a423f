"""TLS from files that are replaced while the process runs: what is used is always a whole, valid set.

Certificates of services live for hours, and whoever issues them (cert-manager, SPIFFE, a Kubernetes secret) replaces
the files. They are read again by their content: modification times lie when a volume's symbolic link is swapped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from libs.core.clock import Clock
from libs.mesh.faults import InvalidConfigurationError, refuse


@dataclass(frozen=True, slots=True)
class PemPaths:
    """PEM files that belong together; None for what is not used.

    Attributes:
        ca: certificates of the authorities that the other side's certificate is checked against.
        certificate: our certificate, then those that lead to its authority.
        key: the private key of the certificate, not encrypted.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key must be given together")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What a client needs for TLS, and with `certificate` and `key` for mTLS; the fields are those of `PemPaths`."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        self.paths()

    def paths(self) -> PemPaths:
        """The same files; ValueError if there is a certificate without a key, or the other way round."""
        return PemPaths(self.ca, self.certificate, self.key)


@dataclass(frozen=True, slots=True)
class Pem:
    """What was in the files."""

    ca: bytes | None
    certificate: bytes | None
    key: bytes | None

    def __repr__(self) -> str:
        # A key is not for logs.
        return f"<Pem ca={self.ca is not None} certificate={self.certificate is not None}>"


class PemFiles:
    """The latest valid contents of a set of files. Not bound to an event loop or a thread.

    Args:
        paths: the files.
        failed: told why a changed set is not used, once until the reason changes.

    Raises:
        InvalidConfigurationError: naming every fault of the files as they are now.
    """

    __slots__ = ("_failed", "_fault", "_paths", "_refused", "current")

    def __init__(self, paths: PemPaths, failed: Callable[[str], None]) -> None:
        self._paths: Final = paths
        self._failed: Final = failed
        self._fault = ""
        self._refused: Pem | None = None
        self.current = _read(paths)
        _check(self.current, paths)

    def reload(self) -> bool:
        """Read the files; answers whether they hold a new, valid set, which is then `current`."""
        try:
            found = _read(self._paths)
            if found == self.current:
                self._fault, self._refused = "", None
                return False
            if found == self._refused:
                return False
            self._refused = found
            _check(found, self._paths)
        except InvalidConfigurationError as error:
            fault = str(error)
            if fault != self._fault:
                self._fault = fault
                self._failed(fault)
            return False
        self.current = found
        self._fault, self._refused = "", None
        return True

    def __repr__(self) -> str:
        return f"<PemFiles {self._fault or 'valid'}>"


class ReloadingCredentials:
    """Credentials of a client, read again every `interval` seconds while `run` is in the background.

    Args:
        files: the files.
        clock: for the interval.
        changed: called after `current` became another set; connections made before keep the old one.
        failed: told why a changed set is not used, once until the reason changes.
        interval: seconds between two looks at the files, above 0.

    Raises:
        InvalidConfigurationError: naming every fault of the files as they are now.
    """

    __slots__ = ("_changed", "_clock", "_credentials", "_files", "_interval")

    def __init__(
        self,
        files: TlsFiles,
        clock: Clock,
        changed: Callable[[], None],
        failed: Callable[[str], None],
        interval: float = 10.0,
    ) -> None:
        if interval <= 0:
            raise ValueError(f"interval must be above 0, got {interval}")
        self._files: Final = PemFiles(files.paths(), failed)
        self._clock: Final = clock
        self._changed: Final = changed
        self._interval: Final = interval
        self._credentials = _credentials(self._files.current)

    def current(self) -> grpc.ChannelCredentials:
        """The credentials to dial with now."""
        return self._credentials

    async def run(self) -> None:
        """Follow the files until cancelled."""
        while True:
            await self._clock.sleep(self._interval)
            if self._files.reload():
                self._credentials = _credentials(self._files.current)
                self._changed()

    def __repr__(self) -> str:
        return f"<ReloadingCredentials {self._files!r}>"


def _credentials(pem: Pem) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(pem.ca, pem.key, pem.certificate)


def _read(paths: PemPaths) -> Pem:
    faults: list[str] = []

    def content(name: str, path: Path | None) -> bytes | None:
        if path is None:
            return None
        try:
            return path.read_bytes()
        except OSError as error:
            faults.append(f"{name}: {path} cannot be read: {error.strerror}")
            return None

    pem = Pem(content("ca", paths.ca), content("certificate", paths.certificate), content("key", paths.key))
    refuse("TLS files", faults)
    return pem


def _check(pem: Pem, paths: PemPaths) -> None:
    faults: list[str] = []
    if pem.ca is not None:
        _certificates(pem.ca, f"ca: {paths.ca}", faults)
    if pem.certificate is not None and pem.key is not None:
        certified = _certificates(pem.certificate, f"certificate: {paths.certificate}", faults)
        public = _public_key(pem.key, f"key: {paths.key}", faults)
        if certified is not None and public is not None and certified != public:
            faults.append(f"key: {paths.key} does not fit the certificate {paths.certificate}")
    refuse("TLS files", faults)


def _certificates(pem: bytes, what: str, faults: list[str]) -> bytes | None:
    """The public key of the first certificate."""
    try:
        return _bytes(x509.load_pem_x509_certificates(pem)[0].public_key())
    except (ValueError, UnsupportedAlgorithm):
        faults.append(f"{what} holds no PEM certificate")
        return None


def _public_key(pem: bytes, what: str, faults: list[str]) -> bytes | None:
    try:
        return _bytes(load_pem_private_key(pem, password=None).public_key())
    except TypeError:
        faults.append(f"{what} is encrypted")
    except (ValueError, UnsupportedAlgorithm):
        faults.append(f"{what} holds no PEM private key")
    return None


def _bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
