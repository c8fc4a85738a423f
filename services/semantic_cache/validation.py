"""What makes a request valid; bad input is refused naming every faulty field."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2 as types_pb
from libs.core.errors import FieldViolation, invalid_fields
from libs.core.ids import is_uuid

_MAX_TEXT_BYTES: Final = 32_768
_MAX_ANSWER_BYTES: Final = 1_048_576
_MAX_MODEL: Final = 100
_MAX_FINGERPRINT: Final = 64
_MAX_TEXTS: Final = 64
_MAX_LANGUAGE: Final = 35
_MAX_TAGS: Final = 16
_MAX_TAG: Final = 100
_MAX_PIECES: Final = 65_536
_MAX_USER: Final = 128
_MAX_WAIT: Final = 600
_MAX_COST: Final = 10**12
_MAX_WRONG_RATE: Final = 0.5
LEASE_TOKEN_BYTES: Final = 16
"""A lease's token: when it was granted, and a random part."""
_TIERS: Final = frozenset(types_pb.ModelTier.values())
_REASONS: Final = frozenset(pb.ReleaseReason.values())


def lookup(request: pb.LookupRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    faults = [*_question_faults("", request.scope, request.text)]
    if request.HasField("max_wait") and not 0 <= request.max_wait.ToNanoseconds() <= _MAX_WAIT * 10**9:
        faults.append(FieldViolation("max_wait", f"must be at most {_MAX_WAIT} s and not negative"))
    # Written so that NaN is a fault too.
    if not (request.max_wrong_rate == 0 or 0 < request.max_wrong_rate <= _MAX_WRONG_RATE):
        faults.append(FieldViolation("max_wrong_rate", f"must be more than 0 and at most {_MAX_WRONG_RATE}, or 0"))
    _refuse(faults)


def lease(request: pb.RenewLeaseRequest | pb.ReleaseLeaseRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    faults = [*_question_faults("", request.scope, request.text)]
    faults += _lease_token_faults(request.lease_token)
    if isinstance(request, pb.ReleaseLeaseRequest) and request.reason not in _REASONS:
        faults.append(FieldViolation("reason", f"is no ReleaseReason: {request.reason}"))
    _refuse(faults)


def invalidate(request: pb.InvalidateRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    faults = [*_request_id_faults(request.request_id)]
    match request.WhichOneof("target"):
        case "entry":
            faults += _question_faults("entry.", request.entry.scope, request.entry.text)
        case "scope_prefix":
            faults += _prefix_faults(request.scope_prefix)
        case "tag":
            faults += _tag_faults("tag", request.tag)
        case "everything":
            if not request.everything:
                faults.append(FieldViolation("everything", "must be true"))
        case _:
            faults.append(FieldViolation("target", "must be set"))
    _refuse(faults)


def report_outcome(request: pb.ReportOutcomeRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    faults = [*_request_id_faults(request.request_id)]
    if not request.receipt:
        faults.append(FieldViolation("receipt", "must be one that Lookup gave out with a hit"))
    if request.outcome not in (pb.OUTCOME_RIGHT, pb.OUTCOME_WRONG):
        faults.append(FieldViolation("outcome", "must be RIGHT or WRONG"))
    _refuse(faults)


def erase_user(request: pb.EraseUserRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    faults = [*_request_id_faults(request.request_id)]
    if not 1 <= len(request.user_id) <= _MAX_USER:
        faults.append(FieldViolation("user_id", f"must be 1 to {_MAX_USER} characters"))
    _refuse(faults)


def embed(request: pb.EmbedRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    violations: list[FieldViolation] = []
    if not 1 <= len(request.texts) <= _MAX_TEXTS:
        violations.append(FieldViolation("texts", f"must be 1 to {_MAX_TEXTS}, got {len(request.texts)}"))
    else:
        for index, text in enumerate(request.texts):
            violations += _text_faults(f"texts[{index}]", text, _MAX_TEXT_BYTES)
    _refuse(violations)


class PutValidator:
    """Checks Put requests.

    Args:
        max_ttl: seconds an entry may be kept.
        dimension: components that an embedding must have; 0: any number, since embeddings are switched off.
    """

    def __init__(self, max_ttl: int, dimension: int) -> None:
        self._max_ttl: Final = max_ttl
        self._dimension: Final = dimension

    def __call__(self, request: pb.PutRequest) -> None:
        """Raises INVALID_FIELD naming every fault."""
        violations = [*_request_id_faults(request.request_id), *_question_faults("", request.scope, request.text)]
        violations += _text_faults("answer", request.answer, _MAX_ANSWER_BYTES)
        if len(request.model) > _MAX_MODEL:
            violations.append(FieldViolation("model", f"must be at most {_MAX_MODEL} characters"))
        if not 0 <= request.cost_usd_micros <= _MAX_COST:
            violations.append(FieldViolation("cost_usd_micros", f"must be 0 to {_MAX_COST:,}"))
        violations += self._ttl_faults(request)
        violations += self._embedding_faults(request.embedding)
        violations += _extra_faults(request)
        _refuse(violations)

    def _ttl_faults(self, request: pb.PutRequest) -> Iterable[FieldViolation]:
        if request.HasField("ttl") and not 0 < request.ttl.ToNanoseconds() <= self._max_ttl * 10**9:
            yield FieldViolation("ttl", f"must be more than 0 and at most {self._max_ttl} s")

    def _embedding_faults(self, sent: bytes) -> Iterable[FieldViolation]:
        if not sent:
            return
        if len(sent) % 4 or (self._dimension and len(sent) != 4 * self._dimension):
            expected = f"{self._dimension} " if self._dimension else ""
            yield FieldViolation("embedding", f"must be {expected}float32 components, got {len(sent)} bytes")
            return
        # float64: the norm of large float32 components must not overflow into a false fault.
        norm = float(np.linalg.norm(np.frombuffer(sent, "<f4").astype(np.float64)))
        if not 0.5 < norm < 2.0:
            # Also what NaN and infinity come to.
            yield FieldViolation("embedding", "must be finite and a vector of length 1")


def _extra_faults(request: pb.PutRequest) -> Iterable[FieldViolation]:
    if request.lease_token:
        yield from _lease_token_faults(request.lease_token)
    if len(request.tags) > _MAX_TAGS:
        yield FieldViolation("tags", f"must be at most {_MAX_TAGS}, got {len(request.tags)}")
    else:
        for index, tag in enumerate(request.tags):
            yield from _tag_faults(f"tags[{index}]", tag)
    lengths = request.piece_lengths
    if len(lengths) > _MAX_PIECES:
        yield FieldViolation("piece_lengths", f"must be at most {_MAX_PIECES:,}, got {len(lengths):,}")
    elif lengths and sum(lengths) != len(request.answer):
        yield FieldViolation("piece_lengths", "must add up to the answer's length in characters")


def _lease_token_faults(token: bytes) -> Iterable[FieldViolation]:
    # Its first half is an instant: a signed number.
    if len(token) != LEASE_TOKEN_BYTES or token[0] > 0x7F:
        yield FieldViolation("lease_token", "must be one that Lookup gave out")


def _question_faults(prefix: str, scope: pb.Scope, text: str) -> Iterable[FieldViolation]:
    yield from _scope_faults(f"{prefix}scope", scope)
    yield from _text_faults(f"{prefix}text", text, _MAX_TEXT_BYTES)


def _scope_faults(field: str, scope: pb.Scope | pb.ScopePrefix) -> Iterable[FieldViolation]:
    if scope.tier not in _TIERS:
        yield FieldViolation(f"{field}.tier", f"is no ModelTier: {scope.tier}")
    if len(scope.model) > _MAX_MODEL:
        yield FieldViolation(f"{field}.model", f"must be at most {_MAX_MODEL} characters")
    if len(scope.language) > _MAX_LANGUAGE:
        yield FieldViolation(f"{field}.language", f"must be at most {_MAX_LANGUAGE} characters")
    fingerprints = {
        "instructions_fingerprint": scope.instructions_fingerprint,
        "tools_fingerprint": scope.tools_fingerprint,
        "context_fingerprint": scope.context_fingerprint,
    }
    for name, fingerprint in fingerprints.items():
        if len(fingerprint) > _MAX_FINGERPRINT:
            yield FieldViolation(f"{field}.{name}", f"must be at most {_MAX_FINGERPRINT} characters")


def _prefix_faults(prefix: pb.ScopePrefix) -> Iterable[FieldViolation]:
    yield from _scope_faults("scope_prefix", prefix)
    given = {descriptor.name for descriptor, _ in prefix.ListFields()}
    names = [descriptor.name for descriptor in prefix.DESCRIPTOR.fields]
    if not given:
        yield FieldViolation("scope_prefix.personal", "must be set; `everything` invalidates all scopes")
    # The fields stand in the order of a scope's path: one that is set needs all before it.
    for name in names[: len(given)]:
        if name not in given:
            yield FieldViolation(f"scope_prefix.{name}", "must be set, since a later field is")
            return


def _request_id_faults(request_id: str) -> Iterable[FieldViolation]:
    if not is_uuid(request_id):
        yield FieldViolation("request_id", "must be a UUID")


def _tag_faults(field: str, tag: str) -> Iterable[FieldViolation]:
    if not 1 <= len(tag) <= _MAX_TAG:
        yield FieldViolation(field, f"must be 1 to {_MAX_TAG} characters")


def _text_faults(field: str, text: str, most: int) -> Iterable[FieldViolation]:
    if not text or text.isspace():
        yield FieldViolation(field, "must not be empty")
    elif len(text) > most // 4 and len(text.encode()) > most:
        # A character takes four bytes at most, so short texts need not be encoded to be measured.
        yield FieldViolation(field, f"must be at most {most:,} bytes")


def _refuse(violations: list[FieldViolation]) -> None:
    if violations:
        raise invalid_fields(violations)
