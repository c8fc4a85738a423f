"""A folder of snapshots, so that a replica that starts need not read every member from the store."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple, TypeVar, TypeVarTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from services.semantic_cache.index.contents import Contents
from services.semantic_cache.index.indexes import Indexes, ScopeIndex, ScopeName
from services.semantic_cache.index.rows import Copied
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.index.snapshot import Origin, read, write
from services.semantic_cache.index.vector_index import VectorIndex

_SUFFIX: Final = ".index"
_UNFINISHED: Final = ".part"
_ABANDONED_SECONDS: Final = 3_600.0
"""Nobody writes for as long at one file."""
_TENANT_BYTES: Final = 16
_OWNER_ONLY: Final = 0o700
_COPIED_AT_ONCE: Final = 2_000

_FAILURES: Final = (OSError, MemoryError)

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class SnapshotLimits:
    """What is kept in the folder; the oldest files go first."""

    members: int = 500
    """A scope with fewer is read from the store as quickly."""
    files: int = 1_000
    nbytes: int = 4 << 30

    def __post_init__(self) -> None:
        for name in ("members", "files", "nbytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class SnapshotStatistics(NamedTuple):
    """A snapshot of the snapshots."""

    saved: int
    loaded: int
    refused: int
    """Files that were broken or of another model or version; they were deleted."""
    failed: int
    """Times that the folder or a file could not be written, read or deleted."""


class _File(NamedTuple):
    path: Path
    written_at: float
    nbytes: int


class Snapshots:
    """Saves and loads indexes. What is lost or refused costs time, never an answer: the store has everything.

    So nothing here raises OSError or MemoryError: a folder that cannot be used is counted, and done without.

    Args:
        folder: made if it is not there; replicas may share it.
        space: name of the embedding space of all vectors.
        shape: of the indexes that are loaded.
        limits: of the folder.
        executor: reads and writes; the owner shuts it down.
    """

    def __init__(self, folder: Path, space: str, shape: Shape, limits: SnapshotLimits, executor: Executor) -> None:
        self._folder: Final = folder
        self._space: Final = space
        self._shape: Final = shape
        self._limits: Final = limits
        self._executor: Final = executor
        # Files are written, read and deleted one at a time: what is forgotten while it is written is deleted after it.
        self._lock: Final = asyncio.Lock()
        self._saved = self._loaded = self._refused = self._failed = 0

    async def save(self, indexes: Indexes, with_graphs: bool) -> int:
        """Save the scopes that are large enough and changed since they were saved; returns how many.

        Args:
            indexes: what is held.
            with_graphs: everything stands still while an index with a graph is copied, see `VectorIndex.contents`: for
                when the last call was answered. Without it a graph is made anew after a start.
        """
        saved = 0
        for name, index in indexes.held():
            async with self._lock:
                # It may have been dropped, and its file deleted, while others were saved.
                if indexes.peek(*name) is index and self._is_worth_saving(index):
                    saved += await self._save(name, index, with_graphs)
        async with self._lock:
            self._failed += await self._in_thread(self._prune)
        return saved

    async def load(self, tenant_id: str, scope: bytes) -> ScopeIndex | None:
        """What was saved of a scope, to be followed up from its cursor; None if nothing usable was."""
        name = ScopeName(tenant_id, scope)
        async with self._lock:
            try:
                index = await self._in_thread(self._read, name)
            except FileNotFoundError:
                return None
            except _FAILURES:
                self._failed += 1
                return None
            except ValueError:
                self._refused += 1
                await self._delete(name)
                return None
        self._loaded += 1
        return index

    async def forget(self, tenant_id: str, scope: bytes) -> bool:
        """Delete what was saved of a scope; call it after `Indexes.drop`. False if it could not be deleted."""
        async with self._lock:
            return await self._delete(ScopeName(tenant_id, scope))

    def statistics(self) -> SnapshotStatistics:
        """What happened so far."""
        return SnapshotStatistics(self._saved, self._loaded, self._refused, self._failed)

    def _is_worth_saving(self, index: ScopeIndex) -> bool:
        return len(index.vectors) >= self._limits.members and index.saved != index.mark

    async def _save(self, name: ScopeName, index: ScopeIndex, with_graph: bool) -> bool:
        # The feed says what happened after the cursor: no harm if some of it is in the copy already.
        mark = index.mark
        try:
            copied = await self._copy(index.vectors, with_graph)
            if copied is None:
                return False
            await self._in_thread(self._write, name, mark[1], *copied)
        except _FAILURES:
            self._failed += 1
            return False
        index.saved = mark
        self._saved += 1
        return True

    async def _copy(self, vectors: VectorIndex, with_graph: bool) -> tuple[Contents, NDArray[np.bool_] | None] | None:
        if with_graph:
            return vectors.contents(), None
        copying = vectors.copying(_COPIED_AT_ONCE)
        while True:
            try:
                next(copying)
            except StopIteration as ended:
                copied: Copied | None = ended.value
                return copied
            # Others have their turn until the thread has one for us.
            await self._in_thread(_nothing)

    def _write(self, name: ScopeName, cursor: str, contents: Contents, wanted: NDArray[np.bool_] | None) -> None:
        self._folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        kept = contents if wanted is None else contents.only(wanted)
        write(self._path(name), self._origin(name), cursor, kept)

    def _read(self, name: ScopeName) -> ScopeIndex:
        cursor, contents = read(self._path(name), self._origin(name))
        index = ScopeIndex(VectorIndex.holding(self._shape, contents), cursor)
        index.saved = index.mark
        return index

    async def _delete(self, name: ScopeName) -> bool:
        deleted = await self._in_thread(_unlink, self._path(name))
        self._failed += not deleted
        return deleted

    def _prune(self) -> int:
        try:
            return sum(not _unlink(path) for path in self._to_go(_listed(self._folder)))
        except _FAILURES:
            return 1

    def _to_go(self, found: list[_File]) -> Iterator[Path]:
        kept, nbytes = 0, 0
        finished = sorted((file for file in found if file.path.suffix == _SUFFIX), key=_written_at, reverse=True)
        for file in finished:
            kept, nbytes = kept + 1, nbytes + file.nbytes
            if kept > self._limits.files or nbytes > self._limits.nbytes:
                yield file.path
        # What another replica still writes is not to go. Files are compared with files: the machine that keeps a
        # shared folder has a clock of its own.
        latest = finished[0].written_at if finished else float("-inf")
        for file in found:
            if file.path.suffix == _UNFINISHED and latest - file.written_at > _ABANDONED_SECONDS:
                yield file.path

    def _origin(self, name: ScopeName) -> Origin:
        return Origin(self._space, self._shape.dimension, name.tenant_id, name.scope)

    def _path(self, name: ScopeName) -> Path:
        return self._folder / f"{_folded(name.tenant_id)}-{name.scope.hex()}{_SUFFIX}"

    async def _in_thread(self, work: Callable[[Unpack[_Args]], _Result], *args: *_Args) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)

    def __repr__(self) -> str:
        return f"Snapshots({self.statistics()})"


def _nothing() -> None: ...


def _listed(folder: Path) -> list[_File]:
    found: list[_File] = []
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return found
    for path in paths:
        # Another replica may have deleted or finished it meanwhile.
        with suppress(FileNotFoundError):
            state = path.stat()
            found.append(_File(path, state.st_mtime, state.st_size))
    return found


def _written_at(file: _File) -> float:
    return file.written_at


def _unlink(path: Path) -> bool:
    """Whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except NotADirectoryError:
        # Where there is no folder there is no file.
        return True
    except OSError:
        return False
    return True


def _folded(tenant_id: str) -> str:
    # A tenant's own words are no file names.
    return blake2b(tenant_id.encode(), digest_size=_TENANT_BYTES).hexdigest()
