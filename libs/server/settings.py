"""What every server can be told; a service's own settings subclass these."""

from pathlib import Path
from typing import Final, Self

from pydantic import Field, SecretStr, model_validator

from libs.config.settings import Settings

_ADDRESS: Final = r"^\S+:\d{1,5}$"
_TARGET: Final = r"^$|^[a-z0-9]+:///\S+$"


class ServerSettings(Settings):
    """Settings of a server."""

    grpc_address: str = Field(
        default="127.0.0.1:0", pattern=_ADDRESS, description="host:port of gRPC; port 0 chooses one"
    )
    admin_address: str = Field(
        default="127.0.0.1:0",
        pattern=_ADDRESS,
        description="host:port of the admin HTTP pages (/metrics, /healthz, /readyz)",
    )
    auth_target: str = Field(default="", pattern=_TARGET, description="where auth is, such as dns:///auth:50051")
    service_secret: SecretStr = Field(
        default=SecretStr(""), description="the secret that services of one installation prove themselves to auth with"
    )
    zone: str = Field(default="", description="where this process runs; calls to peers stay in the zone while they can")
    max_concurrent_calls: int = Field(
        default=1000, ge=1, description="calls in flight above which new ones are refused"
    )
    drain_wait: float = Field(
        default=1.0,
        ge=0,
        description="seconds between reporting NOT_SERVING and refusing calls, so that clients notice",
    )
    drain_grace: float = Field(default=25.0, ge=0, description="seconds that calls in flight get to finish at shutdown")
    max_connection_age: float = Field(
        default=300.0, ge=1, description="seconds after which a client is asked to reconnect (10 % jitter)"
    )
    max_connection_age_grace: float = Field(
        default=600.0, ge=0, description="seconds that calls on such a connection get to finish"
    )
    readiness_interval: float = Field(default=1.0, gt=0, description="seconds between checks of the dependencies")
    batch_scheduling: bool = Field(
        default=True,
        description="run under Linux's SCHED_BATCH: threads that wake do not push a running one off its core",
    )
    ready_file: Path | None = Field(
        default=None,
        description="file that receives the bound addresses and the process id as JSON once the server listens",
    )
    tls_certificate_file: Path | None = Field(
        default=None, description="PEM certificate chain of the server; unset: no TLS"
    )
    tls_key_file: Path | None = Field(default=None, description="PEM private key of the server")
    tls_client_ca_file: Path | None = Field(
        default=None, description="PEM CAs; if set, clients must show a certificate"
    )
    tls_ca_file: Path | None = Field(
        default=None,
        description="PEM CAs of our peers; if set, every peer is dialled with TLS and shown our own certificate",
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file must be set together")
        if self.tls_client_ca_file is not None and self.tls_certificate_file is None:
            raise ValueError("tls_client_ca_file needs tls_certificate_file and tls_key_file")
        if self.auth_target and not self.service_secret.get_secret_value():
            raise ValueError("auth_target needs service_secret")
        return self
