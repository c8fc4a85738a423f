"""Everything about a channel that can be chosen; the defaults suit services in one cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc

from libs.mesh.breaker import BreakerOptions
from libs.mesh.budget import BudgetOptions
from libs.mesh.faults import refuse
from libs.mesh.service_config import DEFAULT_SERVICE_CONFIG, ServiceConfig, parse_service_config
from libs.mesh.service_token import TokenSource


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshOptions:
    """Options of a `MeshChannel`; constructing them raises `InvalidConfigurationError` naming every fault.

    Attributes:
        default_timeout: seconds for a call that has neither a timeout nor a request's deadline.
        service_config: gRPC's JSON form; `methodConfig` with `name`, `timeout`, `waitForReady`, `retryPolicy`.
        budget: how many retries the channel may make.
        breaker: when an endpoint is left alone.
        token_source: tokens for calls outside of a request, or None to send none.
        credentials: TLS towards the endpoints, or None for plaintext.
        dns_refresh: seconds between two look-ups of a `dns:///` name, jittered by a fifth.
        connect_timeout: seconds after which an attempt to connect is given up.
        keepalive: seconds between two pings on a connection; the server must permit as much.
        keepalive_timeout: seconds after which an unanswered ping ends the connection.
        max_message_bytes: the largest message that is sent or received.
    """

    default_timeout: float = 30.0
    service_config: Mapping[str, object] = field(default_factory=lambda: DEFAULT_SERVICE_CONFIG)
    budget: BudgetOptions = field(default_factory=BudgetOptions)
    breaker: BreakerOptions = field(default_factory=BreakerOptions)
    token_source: TokenSource | None = None
    credentials: grpc.ChannelCredentials | None = None
    dns_refresh: float = 5.0
    connect_timeout: float = 5.0
    keepalive: float = 30.0
    keepalive_timeout: float = 10.0
    max_message_bytes: int = 4 * 1024 * 1024
    methods: ServiceConfig = field(init=False, repr=False, compare=False)
    """`service_config`, parsed."""

    def __post_init__(self) -> None:
        positive = ("default_timeout", "dns_refresh", "connect_timeout", "keepalive", "keepalive_timeout")
        faults = [
            f"{name}: must be above 0" for name in (*positive, "max_message_bytes") if not getattr(self, name) > 0
        ]
        refuse("mesh options", faults)
        # The way a frozen dataclass sets a derived field.
        object.__setattr__(self, "methods", parse_service_config(self.service_config))


DEFAULT_OPTIONS: Final = MeshOptions()
