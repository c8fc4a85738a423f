"""An index in a file, and back.

A file is a magic word with the version of this layout and the length of the header, the header, the arrays one after
the other, the graph, and at last a digest of all before it. Numbers are little-endian. It holds digests and vectors,
no text.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final

import numpy as np
import orjson
from numpy.typing import DTypeLike, NDArray

from services.semantic_cache.index.contents import Contents
from services.semantic_cache.index.vector_index import ENTRY_BYTES

VERSION: Final = 1
_MAGIC: Final = b"agentmesh index\n"
_START: Final = Struct("<16sII")
_DIGEST_BYTES: Final = 32


class Refusal(Enum):
    """Why a file is not used."""

    FOREIGN = "foreign"
    """It is something else."""
    OTHER_VERSION = "other version"
    BROKEN = "broken"
    OTHER_MODEL = "other model"
    """Its vectors are of another embedding space or dimension."""
    OTHER_SCOPE = "other scope"


class SnapshotRefusedError(ValueError):
    """A file that is not what was asked for.

    Args:
        refusal: why.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"the snapshot is refused: {refusal.value}")
        self.refusal: Final = refusal


@dataclass(frozen=True, slots=True)
class Origin:
    """What a snapshot is of; nothing is read that is of something else."""

    space: str
    """Name of the embedding space: vectors of two spaces have nothing to do with each other."""
    dimension: int
    tenant_id: str
    scope: bytes


@dataclass(frozen=True, slots=True)
class _Header:
    space: str
    dimension: int
    tenant_id: str
    scope: str
    cursor: str
    members: int
    missing: int
    stale: int


def write(path: Path, origin: Origin, cursor: str, contents: Contents) -> None:
    """Put a snapshot at `path`; whoever reads meanwhile, or after a crash, finds all of it or the former.

    Args:
        path: in a folder that exists.
        origin: what it is of.
        cursor: of the feed; what happened after it need not be in `contents`.
        contents: of the index.

    Raises:
        OSError: the file cannot be written; the former is still there.
    """
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    made = Path(name)
    digest = blake2b(digest_size=_DIGEST_BYTES)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in _parts(origin, cursor, contents):
                digest.update(part)
                file.write(part)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def read(path: Path, origin: Origin) -> tuple[str, Contents]:
    """The cursor and the contents of the snapshot at `path`.

    Raises:
        OSError: there is none, or it cannot be read.
        SnapshotRefusedError: it is not whole, or not of `origin`.
    """
    whole = memoryview(path.read_bytes())
    header, rest = _checked(whole)
    if (header.space, header.dimension) != (origin.space, origin.dimension):
        raise SnapshotRefusedError(Refusal.OTHER_MODEL)
    if (header.tenant_id, header.scope) != (origin.tenant_id, origin.scope.hex()):
        raise SnapshotRefusedError(Refusal.OTHER_SCOPE)
    try:
        return header.cursor, _contents(header, rest)
    except ValueError as error:
        raise SnapshotRefusedError(Refusal.BROKEN) from error


def _parts(origin: Origin, cursor: str, contents: Contents) -> Iterator[bytes | memoryview]:
    counts = len(contents), len(contents.missing), contents.stale
    header = orjson.dumps(
        _Header(origin.space, origin.dimension, origin.tenant_id, origin.scope.hex(), cursor, *counts)
    )
    yield _START.pack(_MAGIC, VERSION, len(header))
    yield header
    yield b"".join(contents.entries)
    yield contents.rows.astype("<i4").data
    yield contents.groups.astype("<u8").data
    yield contents.created_at.astype("<f8").data
    yield contents.expires_at.astype("<f8").data
    # Not copied again: this is most of it.
    yield np.ascontiguousarray(contents.vectors, "<f2").data
    yield np.asarray(contents.missing, "<i4").data
    yield contents.graph


def _checked(whole: memoryview) -> tuple[_Header, memoryview]:
    if len(whole) < _START.size + _DIGEST_BYTES:
        raise SnapshotRefusedError(Refusal.FOREIGN)
    magic, version, length = _START.unpack_from(whole)
    if magic != _MAGIC:
        raise SnapshotRefusedError(Refusal.FOREIGN)
    if version != VERSION:
        raise SnapshotRefusedError(Refusal.OTHER_VERSION)
    body, digest = whole[:-_DIGEST_BYTES], whole[-_DIGEST_BYTES:]
    if blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        raise SnapshotRefusedError(Refusal.BROKEN)
    # What has its digest was written whole, by this layout.
    end = _START.size + length
    return _Header(**orjson.loads(body[_START.size : end])), body[end:]


def _contents(header: _Header, rest: memoryview) -> Contents:
    reader = _Reader(rest)
    members = header.members
    entries = bytes(reader.take(members * ENTRY_BYTES))
    return Contents(
        entries=tuple(entries[at : at + ENTRY_BYTES] for at in range(0, len(entries), ENTRY_BYTES)),
        rows=reader.array("<i4", members).astype(np.int32),
        groups=reader.array("<u8", members).astype(np.uint64),
        created_at=reader.array("<f8", members).astype(np.float64),
        expires_at=reader.array("<f8", members).astype(np.float64),
        vectors=reader.array("<f2", members * header.dimension).astype(np.float16).reshape(members, header.dimension),
        missing=tuple(reader.array("<i4", header.missing).tolist()),
        graph=bytes(reader.left),
        stale=header.stale,
    )


class _Reader:
    """Takes from the front of some bytes."""

    def __init__(self, left: memoryview) -> None:
        self.left = left

    def take(self, size: int) -> memoryview:
        if size > len(self.left):
            raise ValueError(f"{size} bytes are needed, {len(self.left)} are left")
        taken, self.left = self.left[:size], self.left[size:]
        return taken

    def array(self, kind: DTypeLike, count: int) -> NDArray[np.generic]:
        return np.frombuffer(self.take(np.dtype(kind).itemsize * count), kind)
