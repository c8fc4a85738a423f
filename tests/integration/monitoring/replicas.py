"""Replicas of the service over one Redis, and callers with tokens that a stand-in for auth has signed."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from jwt.algorithms import OKPAlgorithm

from agentmesh.auth.v1.auth_pb2 import GetJwksRequest, GetJwksResponse
from agentmesh.monitoring.v1.monitoring_pb2 import ModelCallEvent, ReportUsageRequest, TurnEvent, UsageEvent
from agentmesh.monitoring.v1.monitoring_pb2_grpc import MonitoringServiceStub
from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.server.lifecycle import Process, serving
from libs.telemetry.telemetry import Telemetry
from services.monitoring.bootstrap import build
from services.monitoring.settings import MonitoringSettings

if TYPE_CHECKING:
    from agentmesh.monitoring.v1.monitoring_pb2_grpc import MonitoringServiceAsyncStub

_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_KEY_ID: Final = "test"
CLOCK: Final = SystemClock()


async def _keys(_request: GetJwksRequest, _context: object) -> GetJwksResponse:
    key = json.loads(OKPAlgorithm.to_jwk(_KEY.public_key())) | {"kid": _KEY_ID, "alg": "EdDSA", "use": "sig"}
    return GetJwksResponse(jwks_json=json.dumps({"keys": [key]}))


def key_server() -> grpc.GenericRpcHandler:
    """The one method of auth that monitoring needs."""
    method = grpc.unary_unary_rpc_method_handler(
        _keys,
        request_deserializer=GetJwksRequest.FromString,
        response_serializer=GetJwksResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler("agentmesh.auth.v1.AuthService", {"GetJwks": method})


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica that runs."""

    stub: "MonitoringServiceAsyncStub"
    dashboard: str
    """The address of its page."""


def bearer(tenant: str, *scopes: str, audience: str = "agentmesh") -> tuple[tuple[str, str], ...]:
    """The metadata of a caller."""
    expires = int(CLOCK.time()) + 600
    claims = {"iss": "agentmesh", "aud": audience, "sub": "u1", "ten": tenant, "scp": list(scopes), "exp": expires}
    token = jwt.encode(claims, _KEY, algorithm="EdDSA", headers={"kid": _KEY_ID})
    return (("authorization", f"Bearer {token}"),)


def service() -> tuple[tuple[str, str], ...]:
    """The metadata of one of our services."""
    return bearer("system", "internal", audience="agentmesh-internal")


@asynccontextmanager
async def replica(redis_url: str, **settings: object) -> AsyncIterator[Replica]:
    """The whole service, on free ports of this machine."""
    auth = grpc.aio.server()
    auth.add_generic_rpc_handlers((key_server(),))
    port = auth.add_insecure_port("127.0.0.1:0")
    await auth.start()
    values: dict[str, object] = {
        "redis_url": redis_url,
        "auth_target": f"static:///127.0.0.1:{port}",
        "service_secret": "secret",
        "redis_timeout": 0.5,
        "drain_wait": 0.0,
        "drain_grace": 1.0,
        "readiness_interval": 0.1,
        "dashboard_interval": 0.2,
    }
    process = Process(CLOCK, new_rng(1), Telemetry.local("monitoring"))
    parsed = MonitoringSettings.model_validate(values | settings)
    try:
        async with (
            serving("monitoring", parsed, build, process) as bound,
            grpc.aio.insecure_channel(str(bound.grpc)) as channel,
        ):
            yield Replica(MonitoringServiceStub(channel), f"http://{bound.admin}/dashboard")
    finally:
        await auth.stop(None)


def turn(tenant: str, milliseconds: float = 20.0, **fields: object) -> UsageEvent:
    """A turn that ends now."""
    duration = Duration()
    duration.FromMicroseconds(int(milliseconds * 1000))
    return UsageEvent(tenant_id=tenant, event_time=_now(), turn=TurnEvent(duration=duration, **fields))  # type: ignore[arg-type] # the stub wants each keyword's own type


def model_call(tenant: str, call: ModelCallEvent) -> UsageEvent:
    """A model call that ends now."""
    return UsageEvent(tenant_id=tenant, event_time=_now(), model_call=call)


def batch(number: int, events: Sequence[UsageEvent]) -> ReportUsageRequest:
    """A batch with an id of its own."""
    return ReportUsageRequest(request_id=str(UUID(int=number)), events=events)


def _now() -> Timestamp:
    now = Timestamp()
    now.FromMicroseconds(int(CLOCK.time() * 1e6))
    return now
