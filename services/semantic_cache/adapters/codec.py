"""Entries and vectors as bytes. Versioned: what another release wrote differently is a miss, not an error."""

import struct
from typing import Final

import numpy as np

from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.vectors import Member, Vector

_VERSION: Final = 1
# Version, created, expires, similarity, cost, four token counts, then the lengths of question, answer and model.
_HEAD: Final = struct.Struct("<BdddqqqqqIII")
_EXPIRY: Final = struct.Struct("<d")
_FLOAT32: Final = np.dtype("<f4")


def encode_entry(entry: Entry) -> bytes:
    """The stored form of an entry."""
    question, answer, model = entry.question.encode(), entry.answer.encode(), entry.model.encode()
    usage = entry.usage
    head = _HEAD.pack(
        _VERSION,
        entry.created_at,
        entry.expires_at,
        entry.similarity,
        entry.cost_usd_micros,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        len(question),
        len(answer),
        len(model),
    )
    return b"".join((head, question, answer, model))


def decode_entry(stored: bytes) -> Entry | None:
    """The entry, or None if these bytes are not one of this version."""
    if len(stored) < _HEAD.size or stored[0] != _VERSION:
        return None
    head = _HEAD.unpack_from(stored)
    question_end = _HEAD.size + head[9]
    answer_end = question_end + head[10]
    if answer_end + head[11] != len(stored):
        return None
    return Entry(
        question=stored[_HEAD.size : question_end].decode(),
        answer=stored[question_end:answer_end].decode(),
        model=stored[answer_end:].decode(),
        usage=Usage(head[5], head[6], head[7], head[8]),
        cost_usd_micros=head[4],
        created_at=head[1],
        expires_at=head[2],
        similarity=head[3],
    )


def encode_member(vector: Vector, expires_at: float) -> bytes:
    """The stored form of a vector."""
    return _EXPIRY.pack(expires_at) + vector.astype(_FLOAT32, copy=False).tobytes()


def decode_member(entry: bytes, stored: bytes, dimension: int) -> Member | None:
    """The member, or None if these bytes are no vector of `dimension` components."""
    if len(stored) != _EXPIRY.size + dimension * _FLOAT32.itemsize:
        return None
    (expires_at,) = _EXPIRY.unpack_from(stored)
    return Member(entry, np.frombuffer(stored, _FLOAT32, offset=_EXPIRY.size).astype(np.float32), expires_at)
