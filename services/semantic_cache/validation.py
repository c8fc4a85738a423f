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
_TIERS: Final = frozenset(types_pb.ModelTier.values())


def lookup(request: pb.LookupRequest) -> None:
    """Raises INVALID_FIELD naming every fault."""
    _refuse([*_scope_faults(request.scope), *_text_faults("text", request.text, _MAX_TEXT_BYTES)])


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
        violations: list[FieldViolation] = []
        if not is_uuid(request.request_id):
            violations.append(FieldViolation("request_id", "must be a UUID"))
        violations += _scope_faults(request.scope)
        violations += _text_faults("text", request.text, _MAX_TEXT_BYTES)
        violations += _text_faults("answer", request.answer, _MAX_ANSWER_BYTES)
        if len(request.model) > _MAX_MODEL:
            violations.append(FieldViolation("model", f"must be at most {_MAX_MODEL} characters"))
        if request.cost_usd_micros < 0:
            violations.append(FieldViolation("cost_usd_micros", "must not be negative"))
        violations += self._ttl_faults(request)
        violations += self._embedding_faults(request.embedding)
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


def _scope_faults(scope: pb.Scope) -> Iterable[FieldViolation]:
    if scope.tier not in _TIERS:
        yield FieldViolation("scope.tier", f"is no ModelTier: {scope.tier}")
    if len(scope.model) > _MAX_MODEL:
        yield FieldViolation("scope.model", f"must be at most {_MAX_MODEL} characters")
    if len(scope.instructions_fingerprint) > _MAX_FINGERPRINT:
        yield FieldViolation("scope.instructions_fingerprint", f"must be at most {_MAX_FINGERPRINT} characters")
    if len(scope.context_fingerprint) > _MAX_FINGERPRINT:
        yield FieldViolation("scope.context_fingerprint", f"must be at most {_MAX_FINGERPRINT} characters")


def _text_faults(field: str, text: str, most: int) -> Iterable[FieldViolation]:
    if not text or text.isspace():
        yield FieldViolation(field, "must not be empty")
    elif len(text) > most // 4 and len(text.encode()) > most:
        # A character takes four bytes at most, so short texts need not be encoded to be measured.
        yield FieldViolation(field, f"must be at most {most:,} bytes")


def _refuse(violations: list[FieldViolation]) -> None:
    if violations:
        raise invalid_fields(violations)
