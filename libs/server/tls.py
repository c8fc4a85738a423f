"""TLS of a process, towards its callers and towards its peers."""

from pathlib import Path

import grpc

from libs.server.settings import ServerSettings


def server_credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """Credentials from the files in `settings`, None if there are none; OSError if a file cannot be read."""
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    pair = (settings.tls_key_file.read_bytes(), settings.tls_certificate_file.read_bytes())
    authorities = _read(settings.tls_client_ca_file)
    return grpc.ssl_server_credentials([pair], authorities, require_client_auth=authorities is not None)


def channel_credentials(settings: ServerSettings) -> grpc.ChannelCredentials | None:
    """Credentials towards peers, with the server's own pair if it has one (mTLS).

    None if the settings name no authorities for peers: they are dialled in plaintext. OSError if a file cannot be read.
    """
    authorities = _read(settings.tls_ca_file)
    if authorities is None:
        return None
    return grpc.ssl_channel_credentials(authorities, _read(settings.tls_key_file), _read(settings.tls_certificate_file))


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None else None
