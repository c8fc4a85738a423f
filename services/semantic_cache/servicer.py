"""SemanticCacheService and EmbeddingService on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import EmbeddingServiceServicer, SemanticCacheServiceServicer
from libs.core.clock import Clock
from libs.core.context import Principal, RequestContext, require
from libs.core.errors import MeshError, Reason
from services.semantic_cache import convert
from services.semantic_cache.batching import EmbeddingQueue
from services.semantic_cache.indexes import Indexes
from services.semantic_cache.keeping import Keeper
from services.semantic_cache.lookup import Finder, Layer
from services.semantic_cache.tally import Tally


@dataclass(frozen=True, slots=True)
class Parts:
    """What the servicer translates for."""

    finder: Finder
    keeper: Keeper
    tally: Tally
    indexes: Indexes


class SemanticCacheServicer(SemanticCacheServiceServicer):
    """Acts for the tenant (and, in personal scopes, the user) of the caller's token, and for no other.

    Args:
        parts: the domain.
        clock: tells an entry's age.
        lookups: counts lookups by layer.
        default_ttl: seconds an entry is kept if Put names no time.
    """

    def __init__(self, parts: Parts, clock: Clock, lookups: Counter, default_ttl: float) -> None:
        self._finder: Final = parts.finder
        self._keeper: Final = parts.keeper
        self._tally: Final = parts.tally
        self._indexes: Final = parts.indexes
        self._clock: Final = clock
        self._lookups: Final[Mapping[Layer, Counter]] = {layer: lookups.labels(layer.value) for layer in Layer}
        self._default_ttl: Final = default_ttl

    async def Lookup(self, request: pb.LookupRequest, context: object) -> pb.LookupResponse:
        """Find an answer for the same text, then for the same meaning."""
        current = require()
        principal = _principal(current)
        question = convert.question(principal, request.scope, request.text)
        outcome = await self._finder.lookup(question, request.exact_only)
        entry, layer = outcome.entry, outcome.layer
        self._lookups[layer].inc()
        self._tally.lookup(principal.tenant_id, layer, 0 if entry is None else entry.cost_usd_micros)
        current.log_fields["layer"] = layer.value
        if entry is not None:
            current.log_fields["similarity"] = entry.similarity
        return convert.lookup_response(outcome, self._clock.time())

    async def Put(self, request: pb.PutRequest, context: object) -> pb.PutResponse:
        """Keep an answer until it expires."""
        current = require()
        principal = _principal(current)
        question = convert.question(principal, request.scope, request.text)
        semantic = await self._keeper.keep(
            question,
            convert.answer(request),
            convert.ttl(request, self._default_ttl),
            convert.vector(request.embedding),
        )
        self._tally.put(principal.tenant_id)
        current.log_fields["semantic"] = semantic
        return pb.PutResponse(semantic=semantic)

    async def GetStats(self, request: pb.GetStatsRequest, context: object) -> pb.GetStatsResponse:
        """Return what the caller's tenant got out of the cache."""
        tenant_id = _principal(require()).tenant_id
        return convert.stats_response(await self._tally.read(tenant_id), self._indexes.count(tenant_id))


def _principal(current: RequestContext) -> Principal:
    if current.principal is None or not current.principal.tenant_id:
        raise MeshError(Reason.MISSING_CREDENTIALS)
    return current.principal


class EmbeddingServicer(EmbeddingServiceServicer):
    """Hands texts to the model."""

    def __init__(self, queue: EmbeddingQueue) -> None:
        self._queue: Final = queue

    async def Embed(self, request: pb.EmbedRequest, context: object) -> pb.EmbedResponse:
        """Return one unit vector per text."""
        embeddings = await self._queue.embed(request.texts)
        return convert.embed_response(embeddings, self._queue.model.name)
