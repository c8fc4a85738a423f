"""Everything about a channel that can be chosen; the defaults suit services in one cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc

from libs.mesh.breaker import BreakerOptions
from libs.mesh.budget import BudgetOptions
from libs.mesh.faults import refuse
from libs.mesh.limit import LimitOptions
from libs.mesh.load.slow_start import SlowStartOptions
from libs.mesh.outliers import OutlierOptions
from libs.mesh.picker.policies import POLICIES, PolicyName, PolicyOptions
from libs.mesh.resolver.kubernetes_access import KubernetesAccess
from libs.mesh.service_config import DEFAULT_SERVICE_CONFIG, ServiceConfig, parse_service_config
from libs.mesh.service_token import TokenSource
from libs.mesh.throttle import ThrottleOptions
from libs.mesh.tls import TlsFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshOptions:
    """Options of a `MeshChannel`; constructing them raises `InvalidConfigurationError` naming every fault.

    Attributes:
        default_timeout: seconds for a call that has neither a timeout nor a request's deadline.
        service_config: gRPC's JSON form; an object or its text. `methodConfig` with `name`, `timeout`,
            `waitForReady`, and `retryPolicy` or `hedgingPolicy`; `loadBalancingConfig`.
        policy: how endpoints share the calls; a `loadBalancingConfig` in the service config wins.
        policies: what the policies can be told, and the zone that calls should stay in.
        affinity_header: the call's own metadata key whose value `ring_hash` keeps together.
        slow_start: how endpoints that join or recover get their share, or None to give it at once; of the policies that
            compare costs.
        budget: how many retries and hedges the channel may make.
        breaker: when an endpoint is left alone.
        outliers: when an endpoint is left alone because the others do better.
        panic_threshold: calls go to all endpoints while fewer than this share of them, in [0, 1], are healthy. 0 waits
            until none is: breakers judge by what calls saw, so a healthy minority is better than a random endpoint.
        limit: bounds the attempts in flight per endpoint, or None for no bound.
        throttle: refuses calls here while most are refused there, or None to send them all.
        shed_retry_after: seconds after which a caller whose call was not sent may come back.
        token_source: tokens for calls outside of a request, or None to send none.
        credentials: TLS towards the endpoints, or None for plaintext.
        tls: the same from files, which are read again while the channel is followed; not together with `credentials`.
        kubernetes: how `k8s:///` targets are asked for.
        dns_refresh: seconds between two look-ups of a `dns:///` name, jittered by a fifth.
        connect_timeout: seconds after which an attempt to connect is given up.
        keepalive: seconds between two pings on a connection; the server must permit as much.
        keepalive_timeout: seconds after which an unanswered ping ends the connection.
        max_message_bytes: the largest message that is sent or received.
    """

    default_timeout: float = 30.0
    service_config: Mapping[str, object] | str = field(default_factory=lambda: DEFAULT_SERVICE_CONFIG)
    policy: PolicyName = "peak_ewma"
    policies: PolicyOptions = field(default_factory=PolicyOptions)
    affinity_header: str = "x-agentmesh-affinity"
    slow_start: SlowStartOptions | None = field(default_factory=SlowStartOptions)
    budget: BudgetOptions = field(default_factory=BudgetOptions)
    breaker: BreakerOptions = field(default_factory=BreakerOptions)
    outliers: OutlierOptions = field(default_factory=OutlierOptions)
    panic_threshold: float = 0.0
    limit: LimitOptions | None = None
    throttle: ThrottleOptions | None = None
    shed_retry_after: float = 0.5
    token_source: TokenSource | None = None
    credentials: grpc.ChannelCredentials | None = None
    tls: TlsFiles | None = None
    kubernetes: KubernetesAccess = field(default_factory=KubernetesAccess.in_cluster)
    dns_refresh: float = 5.0
    connect_timeout: float = 5.0
    keepalive: float = 30.0
    keepalive_timeout: float = 10.0
    max_message_bytes: int = 4 * 1024 * 1024
    methods: ServiceConfig = field(init=False, repr=False, compare=False)
    """`service_config`, parsed."""

    def __post_init__(self) -> None:
        faults = [f"{name}: must be above 0" for name in _POSITIVE if not getattr(self, name) > 0]
        if self.policy not in POLICIES:
            faults.append(f"policy: {self.policy!r} is not one of {', '.join(POLICIES)}")
        if not 0 <= self.panic_threshold <= 1:
            faults.append("panic_threshold: must be in [0, 1]")
        if self.tls is not None and self.credentials is not None:
            faults.append("tls: cannot be given together with credentials")
        if self.affinity_header != self.affinity_header.lower() or not self.affinity_header:
            faults.append("affinity_header: must be a metadata key, in lower case")
        refuse("mesh options", faults)
        # The way a frozen dataclass sets a derived field.
        object.__setattr__(self, "methods", parse_service_config(self.service_config))

    @property
    def effective_policy(self) -> PolicyName:
        """The policy that holds."""
        return self.methods.policy or self.policy


_POSITIVE: Final = (
    "default_timeout",
    "dns_refresh",
    "connect_timeout",
    "keepalive",
    "keepalive_timeout",
    "shed_retry_after",
    "max_message_bytes",
)

DEFAULT_OPTIONS: Final = MeshOptions()
