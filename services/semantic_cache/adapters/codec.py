"""Entries, aliases and members as bytes. What another release wrote differently is a miss, not an error.

An entry's and an alias's beginning is read by `tenant.lua` too, which says how they are laid out.
"""

import struct
from typing import Final

import numpy as np

from services.semantic_cache.entry import Alias, Entry, Usage
from services.semantic_cache.index.member import Member, Vector
from services.semantic_cache.index.similarity import unit

_ENTRY: Final = b"\x02e"
_ALIAS: Final = b"\x02a"
_MARK_BYTES: Final = 8
_DIGEST_BYTES: Final = 20
# What only Redis knows: the tenant's epoch.
_STAMP: Final = struct.Struct("<2sq")
# Asked at, expires, how many marks.
_HEAD: Final = struct.Struct("<qdB")
# Created, cost, four token counts, lengths of question, answer and model, how many pieces, bytes of each.
_BODY: Final = struct.Struct("<dqqqqqIIIIB")
# Bytes of a piece's length -> its format.
_PIECES: Final = {1: "B", 2: "H", 4: "I"}
_MARK: Final = "8s"
# Kind, target in hex, length of the space's name; then the name; then this: similarity, group; features.
_ALIAS_HEAD: Final = struct.Struct("<2s40sB")
_ALIAS_TAIL: Final = struct.Struct("<d8s")
# Group, created, expires.
_MEMBER: Final = struct.Struct("<8sdd")
_EXPIRY: Final = struct.Struct("<d")
_FLOAT32: Final = np.dtype("<f4")


def encode_entry(entry: Entry) -> bytes:
    """The stored form of an entry but for what Redis puts before it: kind and epoch.

    Raises:
        ValueError: a mark has not 8 bytes, or there are more than 255.
    """
    if any(len(mark) != _MARK_BYTES for mark in entry.marks) or len(entry.marks) > 255:
        raise ValueError("an entry has up to 255 marks of 8 bytes")
    question, answer, model = entry.question.encode(), entry.answer.encode(), entry.model.encode()
    usage = entry.usage
    longest = max(entry.pieces, default=0)
    width = 1 if longest < 1 << 8 else 2 if longest < 1 << 16 else 4
    head = _HEAD.pack(entry.asked_at, entry.expires_at, len(entry.marks))
    body = _BODY.pack(
        entry.created_at,
        entry.cost_usd_micros,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        len(question),
        len(answer),
        len(model),
        len(entry.pieces),
        width,
    )
    pieces = struct.pack(f"<{len(entry.pieces)}{_PIECES[width]}", *entry.pieces)
    return b"".join((head, *entry.marks, body, question, answer, model, pieces))


def decode_entry(stored: bytes) -> Entry | None:
    """The entry, or None if these bytes, with kind and epoch, are not one of this version."""
    try:
        return _entry(stored)
    except (struct.error, UnicodeDecodeError, KeyError):
        return None


def _entry(stored: bytes) -> Entry | None:
    kind, _ = _STAMP.unpack_from(stored)
    asked_at, expires_at, mark_count = _HEAD.unpack_from(stored, _STAMP.size)
    marks_at = _STAMP.size + _HEAD.size
    body_at = marks_at + mark_count * _MARK_BYTES
    created, cost, *counts, question, answer, model, pieces, width = _BODY.unpack_from(stored, body_at)
    question_at = body_at + _BODY.size
    answer_at = question_at + question
    model_at = answer_at + answer
    pieces_at = model_at + model
    if kind != _ENTRY or pieces_at + pieces * width != len(stored):
        return None
    return Entry(
        question=stored[question_at:answer_at].decode(),
        answer=stored[answer_at:model_at].decode(),
        model=stored[model_at:pieces_at].decode(),
        usage=Usage(*counts),
        cost_usd_micros=cost,
        created_at=created,
        expires_at=expires_at,
        asked_at=asked_at,
        marks=struct.unpack_from(_MARK * mark_count, stored, marks_at),
        pieces=struct.unpack_from(f"<{pieces}{_PIECES[width]}", stored, pieces_at) if pieces else (),
    )


def encode_alias(alias: Alias, space: str) -> bytes:
    """The stored form of an alias that was made in the embedding space `space` (up to 255 bytes)."""
    name = space.encode()
    head = _ALIAS_HEAD.pack(_ALIAS, alias.target.hex().encode(), len(name))
    return b"".join((head, name, _ALIAS_TAIL.pack(alias.similarity, alias.group), alias.features))


def decode_alias(stored: bytes) -> Alias | None:
    """The alias, or None if these bytes are not one of this version."""
    try:
        kind, target, length = _ALIAS_HEAD.unpack_from(stored)
        tail_at = _ALIAS_HEAD.size + length
        similarity, group = _ALIAS_TAIL.unpack_from(stored, tail_at)
        digest = bytes.fromhex(target.decode())
    except (struct.error, ValueError):
        return None
    if kind != _ALIAS or len(digest) != _DIGEST_BYTES:
        return None
    return Alias(digest, group, similarity, stored[tail_at + _ALIAS_TAIL.size :])


def encode_member(member: Member) -> bytes:
    """The stored form of a member but for its entry."""
    head = _MEMBER.pack(member.group, member.created_at, member.expires_at)
    return head + member.vector.astype(_FLOAT32, copy=False).tobytes()


def decode_member(entry: bytes, stored: bytes, dimension: int) -> Member | None:
    """The member, or None if these bytes are none with a vector of `dimension` components that has a direction."""
    if len(stored) != _MEMBER.size + dimension * _FLOAT32.itemsize or len(entry) != _DIGEST_BYTES:
        return None
    group, created_at, expires_at = _MEMBER.unpack_from(stored)
    vector: Vector = np.frombuffer(stored, _FLOAT32, offset=_MEMBER.size).astype(np.float32, copy=False)
    try:
        # Here, so that what an index would refuse is told of as gone.
        unit(vector, dimension)
    except ValueError:
        return None
    return Member(entry, group, vector, created_at, expires_at)


def encode_expiry(expires_at: float) -> bytes:
    """An expiry as it stands in an entry."""
    return _EXPIRY.pack(expires_at)
