"""TLS of a process, towards its callers and towards its peers."""

import logging
from typing import Final

import grpc

from libs.core.clock import Clock, SystemClock
from libs.mesh.tls import Pem, PemFiles, PemPaths, TlsFiles
from libs.server.settings import ServerSettings

_INTERVAL: Final = 10.0  # seconds between two looks at the files
_SYSTEM_CLOCK: Final = SystemClock()
_LOG: Final = logging.getLogger(__name__)


def server_credentials(settings: ServerSettings, clock: Clock = _SYSTEM_CLOCK) -> grpc.ServerCredentials | None:
    """Credentials from the files in `settings`, None if there are none.

    The files are looked at again when a client connects, at most every 10 s: new connections get what is in them
    then, unless it is not a whole, valid set, which is logged. Connections that exist are not affected.

    Raises:
        InvalidConfigurationError: naming every fault of the files as they are now.
    """
    if settings.tls_certificate_file is None:
        return None
    paths = PemPaths(settings.tls_client_ca_file, settings.tls_certificate_file, settings.tls_key_file)
    files = PemFiles(paths, _failed)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(files.current),
        _Fetch(files, clock),  # type: ignore[arg-type] # The stub forgets None, which grpc documents as "no change".
        require_client_authentication=paths.ca is not None,
    )


def channel_files(settings: ServerSettings) -> TlsFiles | None:
    """The files for dialling peers, our own pair among them if we have one (mTLS).

    None if the settings name no authorities for peers: they are dialled in plaintext.
    """
    if settings.tls_ca_file is None:
        return None
    return TlsFiles(settings.tls_ca_file, settings.tls_certificate_file, settings.tls_key_file)


class _Fetch:
    """What gRPC asks before every handshake, on a thread of its own: the configuration, None if it has not changed."""

    __slots__ = ("_clock", "_files", "_looked_at")

    def __init__(self, files: PemFiles, clock: Clock) -> None:
        self._files: Final = files
        self._clock: Final = clock
        self._looked_at = clock.monotonic()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        now = self._clock.monotonic()
        if now - self._looked_at < _INTERVAL:
            return None
        self._looked_at = now
        return _configuration(self._files.current) if self._files.reload() else None


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    if pem.certificate is None or pem.key is None:
        raise ValueError("a server needs a certificate and a key")
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.ca)


def _failed(fault: str) -> None:
    _LOG.warning("The TLS files have changed and cannot be used, so the former ones stay: %s", fault)
