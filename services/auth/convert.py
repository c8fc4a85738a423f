"""Between the wire and the domain."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.auth.v1 import auth_pb2 as pb
from libs.core.context import Principal
from services.auth.admission import Admitted
from services.auth.exchange import ServiceProof
from services.auth.limits import RateLimits
from services.auth.records import ApiKey, Tenant
from services.auth.registry import NewKey
from services.auth.tokens import SignedToken


def grant_duration(seconds: float) -> Duration | None:
    """How long grants hold, on the wire; None for 0, which is no grants."""
    micros = round(seconds * 1_000_000)
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000) if micros else None


def authorize_response(admitted: Admitted, grants_hold: Duration | None) -> pb.AuthorizeResponse:
    """An admission on the wire."""
    principal, signed = admitted.principal, admitted.token
    return pb.AuthorizeResponse(
        principal=pb.Principal(
            tenant_id=principal.tenant_id,
            user_id=principal.user_id,
            scopes=sorted(principal.scopes),
            key_id=principal.key_id,
        ),
        internal_token=signed.token,
        expire_time=Timestamp(seconds=signed.expires_at),
        granted_calls=admitted.calls,
        grant_duration=grants_hold,
    )


def issue_token_response(signed: SignedToken) -> pb.IssueTokenResponse:
    """A token on the wire."""
    return pb.IssueTokenResponse(token=signed.token, expire_time=Timestamp(seconds=signed.expires_at))


def service_proof(credential: pb.ServiceCredential) -> ServiceProof:
    """What a service shows for itself."""
    principal = None
    if credential.HasField("on_behalf_of"):
        wire = credential.on_behalf_of
        principal = Principal(wire.tenant_id, wire.user_id, frozenset(wire.scopes), wire.key_id)
    return ServiceProof(credential.service, credential.secret, principal)


def rate_limits(wire: pb.RateLimits) -> RateLimits:
    """Limits from the wire."""
    return RateLimits(wire.tenant_per_minute, wire.user_per_minute, dict(wire.method_per_minute))


def tenant(made: Tenant) -> pb.Tenant:
    """A tenant on the wire."""
    limits = made.limits
    return pb.Tenant(
        tenant_id=made.tenant_id,
        display_name=made.display_name,
        rate_limits=pb.RateLimits(
            tenant_per_minute=limits.tenant_per_minute,
            user_per_minute=limits.user_per_minute,
            method_per_minute=limits.method_per_minute,
        ),
        create_time=_timestamp(made.create_time_ms),
    )


def new_key(request: pb.CreateApiKeyRequest) -> NewKey:
    """What a caller wants a key to be."""
    expire_time_ms = request.expire_time.ToMilliseconds() if request.HasField("expire_time") else 0
    return NewKey(request.tenant_id, request.user_id, request.display_name, frozenset(request.scopes), expire_time_ms)


def api_key(key: ApiKey) -> pb.ApiKey:
    """A key on the wire, without its secret."""
    return pb.ApiKey(
        key_id=key.key_id,
        tenant_id=key.tenant_id,
        user_id=key.user_id,
        display_name=key.display_name,
        scopes=sorted(key.scopes),
        create_time=_timestamp(key.create_time_ms),
        expire_time=_timestamp(key.expire_time_ms),
        revoke_time=_timestamp(key.revoke_time_ms),
    )


def _timestamp(unix_ms: int) -> Timestamp | None:
    if not unix_ms:
        return None
    seconds, ms = divmod(unix_ms, 1000)
    return Timestamp(seconds=seconds, nanos=ms * 1_000_000)
