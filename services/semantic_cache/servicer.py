"""SemanticCacheService on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import SemanticCacheServiceServicer
from libs.core.clock import Clock
from libs.core.context import Principal, RequestContext, require
from libs.core.errors import MeshError, Reason
from services.semantic_cache import convert
from services.semantic_cache.index.indexes import Indexes
from services.semantic_cache.invalidation import Invalidator
from services.semantic_cache.judging import Judge
from services.semantic_cache.keeping import Keeper, Keeping
from services.semantic_cache.leasing import Leases
from services.semantic_cache.lookup import Finder, Layer
from services.semantic_cache.policies import Policies
from services.semantic_cache.reporting import Reporter
from services.semantic_cache.tally import Tally


@dataclass(frozen=True, slots=True)
class Parts:
    """What the servicer translates for."""

    finder: Finder
    keeper: Keeper
    leases: Leases
    invalidator: Invalidator
    reporter: Reporter
    judge: Judge
    policies: Policies
    tally: Tally
    indexes: Indexes


class SemanticCacheServicer(SemanticCacheServiceServicer):
    """Acts for the tenant (and, in personal scopes, the user) of the caller's token, and for no other.

    Args:
        parts: the domain.
        clock: tells an entry's age.
        lookups: counts lookups by layer.
        space: the embedding space's digest, 8 bytes.
    """

    def __init__(self, parts: Parts, clock: Clock, lookups: Counter, space: bytes) -> None:
        self._parts: Final = parts
        self._questions: Final = convert.Questions()
        self._stamps: Final = convert.Stamps(parts.leases.seconds, space)
        self._clock: Final = clock
        self._lookups: Final[Mapping[Layer, Counter]] = {layer: lookups.labels(layer.value) for layer in Layer}

    async def Lookup(self, request: pb.LookupRequest, context: object) -> pb.LookupResponse:
        """Find an answer for the same text, then for the same meaning."""
        current = require()
        principal = _principal(current)
        parts = self._parts
        question = self._questions.of(principal, request.scope, request.text)
        rate = parts.policies.max_wrong_rate(principal.tenant_id, request.max_wrong_rate)
        outcome = await parts.finder.lookup(question, convert.asked(request, rate))
        self._lookups[outcome.layer].inc()
        parts.tally.lookup(principal.tenant_id, outcome)
        fields = current.log_fields
        fields["layer"] = outcome.layer.value
        if outcome.entry is not None:
            fields["similarity"] = outcome.similarity
        if outcome.waited:
            fields["waited"] = True
        return convert.lookup_response(principal, outcome, self._clock.time(), self._stamps, request.explain)

    async def Put(self, request: pb.PutRequest, context: object) -> pb.PutResponse:
        """Keep an answer until it expires."""
        current = require()
        principal = _principal(current)
        parts = self._parts
        question = self._questions.of(principal, request.scope, request.text)
        terms = convert.terms(
            principal, request, parts.policies.of(principal.tenant_id).ttl_seconds, self._stamps.space
        )
        keeping = await parts.keeper.keep(question, convert.answer(request), terms)
        current.log_fields["kept"] = keeping.value
        if keeping is Keeping.OUTDATED:
            return pb.PutResponse(outdated=True)
        parts.tally.put(principal.tenant_id)
        return pb.PutResponse(semantic=keeping is Keeping.SEMANTIC)

    async def RenewLease(self, request: pb.RenewLeaseRequest, context: object) -> pb.RenewLeaseResponse:
        """Prolong a lease."""
        question = self._questions.of(_principal(require()), request.scope, request.text)
        return pb.RenewLeaseResponse(renewed=await self._parts.leases.renew(question.key, request.lease_token))

    async def ReleaseLease(self, request: pb.ReleaseLeaseRequest, context: object) -> pb.ReleaseLeaseResponse:
        """Give a lease back."""
        question = self._questions.of(_principal(require()), request.scope, request.text)
        reusable = request.reason != pb.RELEASE_REASON_NOT_REUSABLE
        await self._parts.leases.release(question.key, request.lease_token, reusable=reusable)
        return pb.ReleaseLeaseResponse()

    async def Invalidate(self, request: pb.InvalidateRequest, context: object) -> pb.InvalidateResponse:
        """Make entries unfindable, everywhere."""
        current = require()
        principal = _principal(current)
        current.log_fields["target"] = request.WhichOneof("target") or ""
        await self._parts.invalidator.invalidate(principal.tenant_id, convert.target_mark(principal, request))
        return pb.InvalidateResponse()

    async def ReportOutcome(self, request: pb.ReportOutcomeRequest, context: object) -> pb.ReportOutcomeResponse:
        """Learn from what turned out."""
        current = require()
        right = request.outcome == pb.OUTCOME_RIGHT
        current.log_fields["right"] = right
        principal = _principal(current)
        receipt = convert.receipt(principal, request.receipt)
        await self._parts.reporter.report(principal.tenant_id, request.request_id, receipt, right)
        return pb.ReportOutcomeResponse()

    async def GetStats(self, request: pb.GetStatsRequest, context: object) -> pb.GetStatsResponse:
        """Return what the caller's tenant got out of the cache."""
        tenant_id = _principal(require()).tenant_id
        parts = self._parts
        return convert.stats_response(
            await parts.tally.read(tenant_id),
            parts.indexes.count(tenant_id),
            parts.judge.estimate(tenant_id),
            parts.policies.of(tenant_id).max_wrong_rate,
        )

    async def EraseUser(self, request: pb.EraseUserRequest, context: object) -> pb.EraseUserResponse:
        """Delete every entry a user put."""
        current = require()
        count = await self._parts.invalidator.erase_user(_principal(current).tenant_id, request.user_id)
        current.log_fields["entries"] = count
        return pb.EraseUserResponse(entry_count=count)


def _principal(current: RequestContext) -> Principal:
    if current.principal is None or not current.principal.tenant_id:
        raise MeshError(Reason.MISSING_CREDENTIALS)
    return current.principal
