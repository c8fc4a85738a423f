"""Between the wire and the domain."""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2 as types_pb
from libs.core.context import Principal
from services.semantic_cache import tally
from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.index.member import Vector
from services.semantic_cache.judging import Estimate, Judgement
from services.semantic_cache.keeping import Answer, Terms
from services.semantic_cache.lookup import Asked, Layer, Outcome
from services.semantic_cache.ports import Counts, Embedded
from services.semantic_cache.receipts import Receipt, bearer_of, unpack
from services.semantic_cache.scope import Question, Scope, ask, prefix_mark, tag_mark

_LAYERS: Final = {
    Layer.EXACT_MEMORY: types_pb.CACHE_LAYER_EXACT_MEMORY,
    Layer.EXACT_REDIS: types_pb.CACHE_LAYER_EXACT_REDIS,
    Layer.SEMANTIC: types_pb.CACHE_LAYER_SEMANTIC,
}
_LEASED_AT_BYTES: Final = 8


class Stamps(NamedTuple):
    """What every answer of this replica bears."""

    lease_seconds: float
    space: bytes
    """The embedding space, 8 bytes."""


class Questions:
    """Makes questions of requests: tenant and user are the caller's, never the request's.

    Args:
        remembered: scopes whose digests are kept at hand; to make one costs more than all the rest.
    """

    def __init__(self, remembered: int = 4_096) -> None:
        self._scope: Final = lru_cache(maxsize=remembered)(_scope)

    def of(self, principal: Principal, scope: pb.Scope, text: str) -> Question:
        """The question `text` of that caller in that scope."""
        domain, digest = self._scope(principal.tenant_id, principal.user_id, scope.SerializeToString())
        return ask(domain, text, digest)


def _scope(tenant_id: str, user_id: str, sent: bytes) -> tuple[Scope, bytes]:
    scope = pb.Scope.FromString(sent)
    if scope.HasField("personal"):
        personal = scope.personal
    else:
        personal = bool(scope.context_fingerprint or scope.tools_fingerprint)
    domain = Scope(
        tenant_id,
        user_id,
        personal,
        scope.tier,
        scope.model,
        scope.instructions_fingerprint,
        scope.tools_fingerprint,
        # Tags differ in case only by habit.
        scope.language.casefold(),
        scope.context_fingerprint,
    )
    return domain, domain.digest()


def asked(request: pb.LookupRequest, max_wrong_rate: float) -> Asked:
    """What a Lookup wants, under the rate that applies to it."""
    max_wait = request.max_wait.ToNanoseconds() / 1e9 if request.HasField("max_wait") else 0.0
    return Asked(max_wrong_rate, request.exact_only, max_wait, request.explain)


def target_mark(principal: Principal, request: pb.InvalidateRequest) -> bytes:
    """What an Invalidate names; empty for everything."""
    match request.WhichOneof("target"):
        case "entry":
            scope, digest = _scope(principal.tenant_id, principal.user_id, request.entry.scope.SerializeToString())
            return ask(scope, request.entry.text, digest).key.entry
        case "scope_prefix":
            return _prefix_mark(principal, request.scope_prefix)
        case "tag":
            return tag_mark(request.tag)
        case _:
            return b""


def _prefix_mark(principal: Principal, prefix: pb.ScopePrefix) -> bytes:
    scope = pb.Scope(
        tier=prefix.tier,
        model=prefix.model,
        instructions_fingerprint=prefix.instructions_fingerprint,
        context_fingerprint=prefix.context_fingerprint,
        personal=prefix.personal,
        tools_fingerprint=prefix.tools_fingerprint,
        language=prefix.language,
    )
    # The fields of a prefix are in the order of the path, and set without a gap.
    length = len(prefix.ListFields())
    domain, _ = _scope(principal.tenant_id, principal.user_id, scope.SerializeToString())
    return prefix_mark(domain.path()[:length])


def lookup_response(
    principal: Principal, outcome: Outcome, now: float, stamps: Stamps, explain: bool
) -> pb.LookupResponse:
    """What Lookup answers at `now` (Unix seconds)."""
    response = pb.LookupResponse()
    if outcome.entry is not None:
        _fill(response.hit, outcome, outcome.entry, now)
    elif outcome.vector is not None:
        response.embedding = vector_bytes(outcome.vector)
    if outcome.lease_token:
        response.lease.token = outcome.lease_token
        response.lease.ttl.FromMilliseconds(round(stamps.lease_seconds * 1000))
    response.held = outcome.held
    if outcome.receipt is not None:
        response.receipt = outcome.receipt.pack(_bearer(principal), stamps.space)
    if explain and outcome.judgement is not None:
        _explain(response.explanation, outcome.judgement)
    return response


def _fill(hit: pb.Hit, outcome: Outcome, entry: Entry, now: float) -> None:
    usage = entry.usage
    hit.answer = entry.answer
    hit.model = entry.model
    tokens = hit.usage
    tokens.input_tokens = usage.input_tokens
    tokens.output_tokens = usage.output_tokens
    tokens.cache_read_input_tokens = usage.cache_read_input_tokens
    tokens.cache_creation_input_tokens = usage.cache_creation_input_tokens
    hit.cost_usd_micros = entry.cost_usd_micros
    hit.layer = _LAYERS[outcome.layer]
    hit.similarity = outcome.similarity
    hit.wrong_probability = outcome.wrong_probability
    if entry.pieces:
        hit.piece_lengths.extend(entry.pieces)
    hit.waited = outcome.waited
    # Replicas' clocks differ a little: an entry is never younger than new.
    seconds, milliseconds = divmod(max(0, round((now - entry.created_at) * 1000)), 1000)
    hit.age.seconds = seconds
    hit.age.nanos = milliseconds * 1_000_000


def _explain(explanation: pb.Explanation, judgement: Judgement) -> None:
    explanation.reason = judgement.reason
    explanation.threshold = judgement.threshold
    explanation.max_wrong_rate = judgement.max_wrong_rate
    for considered in judgement.considered:
        candidate = explanation.candidates.add(similarity=considered.similarity, refused_by=considered.refused_by)
        if considered.wrong_probability is not None:
            candidate.wrong_probability = considered.wrong_probability
        candidate.features.update(considered.features)


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
        tuple(request.piece_lengths),
    )


def terms(principal: Principal, request: pb.PutRequest, default_ttl: float, space: bytes) -> Terms:
    """How a Put wants its answer kept.

    What another replica computed counts only if it did so in our embedding space: its receipt says so.

    Raises:
        MeshError: INVALID_FIELD for a receipt that is none.
    """
    brought = receipt(principal, request.receipt)
    of_ours = brought is not None and brought.space == space
    if brought is not None and not of_ours:
        brought = brought._replace(candidate=b"", group=b"", features=b"")
    return Terms(
        request.request_id,
        request.ttl.ToNanoseconds() / 1e9 if request.HasField("ttl") else default_ttl,
        vector(request.embedding) if of_ours else None,
        request.lease_token,
        leased_at(request.lease_token),
        brought,
        tuple(request.tags),
    )


def receipt(principal: Principal, sent: bytes) -> Receipt | None:
    """The receipt that came back; None for none. Raises INVALID_FIELD for what is none, or another's."""
    return unpack(sent, _bearer(principal))


def _bearer(principal: Principal) -> bytes:
    return bearer_of(principal.tenant_id, principal.user_id)


def leased_at(lease_token: bytes) -> int:
    """When a lease was granted, in microseconds of the store's clock; 0 for no lease."""
    return int.from_bytes(lease_token[:_LEASED_AT_BYTES], "big")


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


def stats_response(counts: Counts, indexed: int, estimate: Estimate, max_wrong_rate: float) -> pb.GetStatsResponse:
    """A tenant's counters, and how often its hits by meaning are wrong."""
    return pb.GetStatsResponse(
        lookup_count=counts.get(tally.LOOKUPS, 0),
        exact_memory_hit_count=counts.get(tally.HITS[Layer.EXACT_MEMORY], 0),
        exact_redis_hit_count=counts.get(tally.HITS[Layer.EXACT_REDIS], 0),
        semantic_hit_count=counts.get(tally.HITS[Layer.SEMANTIC], 0),
        put_count=counts.get(tally.PUTS, 0),
        saved_usd_micros=counts.get(tally.SAVED, 0),
        indexed_entry_count=indexed,
        waited_hit_count=counts.get(tally.WAITED, 0),
        audit_count=counts.get(tally.AUDITS, 0),
        unavailable_count=counts.get(tally.UNAVAILABLE, 0),
        wrong_rate=estimate.rate,
        wrong_rate_low=estimate.low,
        wrong_rate_high=estimate.high,
        max_wrong_rate=max_wrong_rate,
    )


def embed_response(embeddings: list[Embedded], model: str, space: str) -> pb.EmbedResponse:
    """What Embed answers."""
    return pb.EmbedResponse(
        embeddings=[pb.Embedding(values=embedded.vector.tolist()) for embedded in embeddings], model=model, space=space
    )
