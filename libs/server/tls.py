"""The server's side of TLS."""

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


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None else None
