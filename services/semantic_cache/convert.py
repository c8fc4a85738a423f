"""Between the wire and the domain."""

import numpy as np

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2 as types_pb
from libs.core.context import Principal
from services.semantic_cache import tally
from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.keeping import Answer
from services.semantic_cache.lookup import Layer, Outcome
from services.semantic_cache.ports import Counts, Embedded
from services.semantic_cache.scope import Question, Scope, ask
from services.semantic_cache.vectors import Vector

_LAYERS = {
    Layer.EXACT_MEMORY: types_pb.CACHE_LAYER_EXACT_MEMORY,
    Layer.EXACT_REDIS: types_pb.CACHE_LAYER_EXACT_REDIS,
    Layer.SEMANTIC: types_pb.CACHE_LAYER_SEMANTIC,
}


def question(principal: Principal, scope: pb.Scope, text: str) -> Question:
    """The question of a request: tenant and user are the caller's, never the request's."""
    return ask(
        Scope(
            principal.tenant_id,
            principal.user_id,
            scope.personal,
            scope.tier,
            scope.model,
            scope.instructions_fingerprint,
            scope.context_fingerprint,
        ),
        text,
    )


def lookup_response(outcome: Outcome, now: float) -> pb.LookupResponse:
    """What Lookup answers at `now` (Unix seconds)."""
    if outcome.entry is not None:
        return pb.LookupResponse(hit=_hit(outcome.layer, outcome.entry, now))
    return pb.LookupResponse(embedding=b"" if outcome.vector is None else vector_bytes(outcome.vector))


def _hit(layer: Layer, entry: Entry, now: float) -> pb.Hit:
    usage = entry.usage
    hit = pb.Hit(
        answer=entry.answer,
        model=entry.model,
        usage=types_pb.TokenUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_input_tokens=usage.cache_read_input_tokens,
            cache_creation_input_tokens=usage.cache_creation_input_tokens,
        ),
        cost_usd_micros=entry.cost_usd_micros,
        layer=_LAYERS[layer],
        similarity=entry.similarity,
    )
    # Replicas' clocks differ a little: an entry is never younger than new.
    hit.age.FromMilliseconds(max(0, round((now - entry.created_at) * 1000)))
    return hit


def answer(request: pb.PutRequest) -> Answer:
    """What a Put brings."""
    usage = request.usage
    return Answer(
        request.answer,
        request.model,
        Usage(
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_input_tokens,
            usage.cache_creation_input_tokens,
        ),
        request.cost_usd_micros,
    )


def ttl(request: pb.PutRequest, default: float) -> float:
    """Seconds that a Put asks for."""
    return request.ttl.ToNanoseconds() / 1e9 if request.HasField("ttl") else default


def vector_bytes(vector: Vector) -> bytes:
    """A vector as it travels: float32, little endian."""
    return vector.astype("<f4", copy=False).tobytes()


def vector(sent: bytes) -> Vector | None:
    """The unit vector that was sent, or None if nothing was. The bytes have been validated."""
    if not sent:
        return None
    components = np.frombuffer(sent, "<f4").astype(np.float32)
    unit: Vector = components / np.float32(np.linalg.norm(components))
    return unit


def stats_response(counts: Counts, indexed: int) -> pb.GetStatsResponse:
    """A tenant's counters."""
    return pb.GetStatsResponse(
        lookup_count=counts.get(tally.LOOKUPS, 0),
        exact_memory_hit_count=counts.get(tally.HITS[Layer.EXACT_MEMORY], 0),
        exact_redis_hit_count=counts.get(tally.HITS[Layer.EXACT_REDIS], 0),
        semantic_hit_count=counts.get(tally.HITS[Layer.SEMANTIC], 0),
        put_count=counts.get(tally.PUTS, 0),
        saved_usd_micros=counts.get(tally.SAVED, 0),
        indexed_entry_count=indexed,
    )


def embed_response(embeddings: list[Embedded], model: str) -> pb.EmbedResponse:
    """What Embed answers."""
    return pb.EmbedResponse(
        embeddings=[pb.Embedding(values=embedded.vector.tolist()) for embedded in embeddings], model=model
    )
