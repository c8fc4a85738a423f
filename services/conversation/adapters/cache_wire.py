"""What the semantic cache is told and what it says, as messages of its contract. Nothing is decided here."""

from typing import Final

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from libs.core.context import require
from services.conversation.cache_ports import CacheEntry, CacheHit, CacheLease, CacheMiss, CacheScope, Unshared
from services.conversation.convert import duration, seconds_of, tier_proto, usage_domain, usage_proto
from services.conversation.fingerprint import digest
from services.conversation.turn import CacheLayer

_AFFINITY: Final = "x-agentmesh-affinity"
_REASONS: Final = {
    Unshared.FAILED: pb.RELEASE_REASON_FAILED,
    Unshared.NOT_REUSABLE: pb.RELEASE_REASON_NOT_REUSABLE,
}


def affinity(scope: CacheScope) -> tuple[tuple[str, str], ...]:
    """Metadata that is equal for all calls about entries that can be found together, and hardly ever for others.

    The mesh sends calls with equal affinity to one replica, which then has the scope's index in memory.
    """
    principal = require().principal
    if principal is None:
        return ()
    options = scope.options
    user = principal.user_id if scope.personal else ""
    key = digest(
        principal.tenant_id,
        user,
        f"{options.tier} {options.model}",
        options.language,
        scope.instructions_fingerprint,
        scope.tools_fingerprint,
        scope.context_fingerprint,
    )
    return ((_AFFINITY, key),)


def lookup_request(scope: CacheScope, question: str, wait: float) -> pb.LookupRequest:
    """A question; with 0 s to wait it asks for no lease either."""
    return pb.LookupRequest(
        scope=_scope(scope),
        text=question,
        exact_only=scope.personal,
        max_wait=duration(wait) if wait else None,
    )


def hit(found: pb.Hit) -> CacheHit:
    """What was found."""
    return CacheHit(
        found.answer,
        found.model,
        usage_domain(found.usage),
        found.cost_usd_micros,
        CacheLayer(found.layer),
        found.similarity,
        tuple(found.piece_lengths),
    )


def miss(response: pb.LookupResponse) -> CacheMiss:
    """What comes with nothing."""
    lease = None
    if response.HasField("lease"):
        lease = CacheLease(response.lease.token, seconds_of(response.lease.ttl))
    return CacheMiss(response.embedding, lease, response.receipt)


def put_request(entry: CacheEntry) -> pb.PutRequest:
    """An answer to keep."""
    made_after = entry.miss
    return pb.PutRequest(
        request_id=entry.request_id,
        scope=_scope(entry.scope),
        text=entry.question,
        answer=entry.text,
        model=entry.model,
        usage=usage_proto(entry.usage),
        cost_usd_micros=entry.cost_usd_micros,
        embedding=made_after.embedding,
        lease_token=made_after.lease.token if made_after.lease is not None else b"",
        receipt=made_after.receipt,
        piece_lengths=entry.piece_lengths,
    )


def renew_request(scope: CacheScope, question: str, lease: CacheLease) -> pb.RenewLeaseRequest:
    """A request for more time."""
    return pb.RenewLeaseRequest(scope=_scope(scope), text=question, lease_token=lease.token)


def release_request(scope: CacheScope, question: str, lease: CacheLease, why: Unshared) -> pb.ReleaseLeaseRequest:
    """A lease given back."""
    return pb.ReleaseLeaseRequest(scope=_scope(scope), text=question, lease_token=lease.token, reason=_REASONS[why])


def _scope(value: CacheScope) -> pb.Scope:
    options = value.options
    return pb.Scope(
        tier=tier_proto(options.tier),
        model=options.model,
        instructions_fingerprint=value.instructions_fingerprint,
        tools_fingerprint=value.tools_fingerprint,
        language=options.language,
        context_fingerprint=value.context_fingerprint,
        # Not set, it follows from the rest: an answer without a history is shared unless tools took part.
        personal=value.personal or None,
    )
