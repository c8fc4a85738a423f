"""Wires the semantic cache: the only place that knows which adapter stands behind which port."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Self

from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import (
    add_EmbeddingServiceServicer_to_server,
    add_SemanticCacheServiceServicer_to_server,
)
from libs.core.clock import Clock
from libs.server.runtime import Runtime
from libs.server.spec import ServiceSpec
from libs.store.connection import Store, connect
from libs.telemetry.catalogue import CACHE_LOOKUPS, CACHE_OUTCOMES
from services.semantic_cache.adapters.redis_entries import RedisEntryStore, VectorSpace
from services.semantic_cache.adapters.redis_invalidations import RedisInvalidationStore
from services.semantic_cache.adapters.redis_outcomes import RedisOutcomeLog
from services.semantic_cache.adapters.redis_tally import RedisTallyStore
from services.semantic_cache.adapters.sentence_transformer import SentenceTransformerModel
from services.semantic_cache.adapters.statistics_page import Statistics, statistics_route
from services.semantic_cache.backlog import Backlog
from services.semantic_cache.embedding.queue import BatchLimits, EmbeddingQueue
from services.semantic_cache.embedding_servicer import EmbeddingServicer
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.experience import ExperienceOptions, Experiences
from services.semantic_cache.flight import FlightOptions, Flights
from services.semantic_cache.floors import Floors
from services.semantic_cache.index.indexes import Indexes, IndexLimits
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.index.snapshots import SnapshotLimits, Snapshots
from services.semantic_cache.invalidation import InvalidationFollower, Invalidator
from services.semantic_cache.keeping import Keeper, Shelves
from services.semantic_cache.learning.choice import LearnerOptions
from services.semantic_cache.leasing import Leases
from services.semantic_cache.lookup import Finder, Layers
from services.semantic_cache.methods import CACHE, EMBEDDING, cache_policies, embedding_policies
from services.semantic_cache.model_folder import ModelFolder
from services.semantic_cache.ports import EmbeddingModel
from services.semantic_cache.receipts import NO_SPACE
from services.semantic_cache.reporting import Reporter
from services.semantic_cache.semantic import SemanticOptions, SemanticSearch
from services.semantic_cache.servicer import Parts, SemanticCacheServicer
from services.semantic_cache.settings import SemanticCacheSettings
from services.semantic_cache.settling import Settler
from services.semantic_cache.tally import Tally

_NO_MODEL: Final = ModelFolder(Path(), "none", 1)
"""What stands for a model where there is none: nothing is ever written to its space."""

_BATCH_BEGINS: Final = 8
_SNAPSHOT_SECONDS: Final = 300.0

LoadModel = Callable[[ModelFolder, int, str], EmbeddingModel]
"""Makes the model of a folder, to run on so many threads of a device; called in a thread, may take seconds."""


@dataclass(frozen=True, slots=True)
class _Adapters:
    """What stands behind the ports, on one Redis."""

    entries: RedisEntryStore
    announcements: RedisInvalidationStore
    outcomes: RedisOutcomeLog
    tally: RedisTallyStore

    @classmethod
    def of(cls, settings: SemanticCacheSettings, runtime: Runtime, store: Store, folder: ModelFolder) -> Self:
        """All of them."""
        space = VectorSpace(folder.space, folder.dimension, settings.scope_entries)
        return cls(
            RedisEntryStore(store, space, runtime.rng),
            RedisInvalidationStore(store, settings.max_ttl),
            RedisOutcomeLog(store, folder.space, LearnerOptions().window),
            RedisTallyStore(store),
        )


@dataclass(frozen=True, slots=True)
class _Vectors:
    """Where vectors come from and where they are searched."""

    queue: EmbeddingQueue | None
    """None without a model."""
    indexes: Indexes
    snapshots: Snapshots | None
    executor: Executor

    @classmethod
    def of(
        cls, settings: SemanticCacheSettings, folder: ModelFolder, queue: EmbeddingQueue | None, executor: Executor
    ) -> Self:
        """All of it."""
        shape = Shape(folder.dimension, settings.scope_entries)
        indexes = Indexes(shape, IndexLimits(vectors=settings.index_entries), executor)
        path = settings.snapshot_folder
        snapshots = Snapshots(Path(path), folder.space, shape, SnapshotLimits(), executor) if path else None
        return cls(queue, indexes, snapshots, executor)


@dataclass(frozen=True, slots=True)
class _Wired:
    """The domain, put together."""

    parts: Parts
    vectors: _Vectors
    background: tuple[Callable[[], Awaitable[None]], ...]
    statistics: Mapping[str, Statistics]
    """Snapshots for the admin port."""


@asynccontextmanager
async def build(
    settings: SemanticCacheSettings, runtime: Runtime, load_model: LoadModel = SentenceTransformerModel
) -> AsyncIterator[ServiceSpec]:
    """The service, ready to be served; Redis may be away, and the model is loaded in the background."""
    folder = settings.model_folder()
    with _embeddings(settings, runtime, folder, load_model) as queue, _threads("cache", 2) as executor:
        async with connect(settings.redis_url, timeout=settings.redis_timeout) as store:
            adapters = _Adapters.of(settings, runtime, store, folder or _NO_MODEL)
            wired = _wire(settings, runtime, adapters, _Vectors.of(settings, folder or _NO_MODEL, queue, executor))
            spec = _cache_spec(settings, runtime, wired, folder)
            yield spec if queue is None or folder is None else _with_embeddings(spec, queue, folder.space)
            await wired.parts.tally.flush()
            if wired.vectors.snapshots is not None:
                await wired.vectors.snapshots.save(wired.vectors.indexes, with_graphs=True)


@contextmanager
def _threads(name: str, count: int) -> Iterator[Executor]:
    executor = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)
    try:
        yield executor
    finally:
        # Nobody waits for what they still do.
        executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _embeddings(
    settings: SemanticCacheSettings, runtime: Runtime, folder: ModelFolder | None, load_model: LoadModel
) -> Iterator[EmbeddingQueue | None]:
    if folder is None:
        yield None
        return
    with _threads("embedding", 1) as executor:
        load = partial(load_model, folder, settings.embedding_threads, settings.embedding_device)
        batch = settings.embedding_batch
        limits = BatchLimits(batch=batch, ready=min(_BATCH_BEGINS, batch), waiting=settings.embedding_queue)
        yield EmbeddingQueue(load, executor, runtime.clock, limits)


def _wire(settings: SemanticCacheSettings, runtime: Runtime, adapters: _Adapters, vectors: _Vectors) -> _Wired:
    clock, rng, entries = runtime.clock, runtime.rng, adapters.entries
    memory, floors = ExactCache(settings.memory_bytes), Floors(clock, settings.invalidation_seconds)
    flights = Flights(entries, rng, FlightOptions(settings.lease_seconds, waiting=settings.waiting_lookups))
    outcomes = runtime.telemetry.metrics.counter(CACHE_OUTCOMES)
    experiences = Experiences(adapters.outcomes, vectors.executor, clock, rng, outcomes, ExperienceOptions())
    semantic = settler = None
    if vectors.queue is not None:
        options = SemanticOptions()
        semantic = SemanticSearch(
            entries, vectors.indexes, vectors.snapshots, vectors.queue, experiences, clock, options
        )
        settler = Settler(entries, semantic, vectors.queue, experiences, clock, settings.answer_similarity)
    backlog = Backlog(entries, flights, semantic, settler, clock, settings.backlog_size)
    invalidator = Invalidator(adapters.announcements, entries, vectors.snapshots, floors, clock)
    tally = Tally(adapters.tally, clock)
    parts = Parts(
        Finder(Layers(memory, floors, entries, flights, semantic, experiences), backlog, clock),
        Keeper(Shelves(memory, entries, flights, semantic), backlog, clock, rng),
        Leases(entries, flights),
        invalidator,
        Reporter(experiences, invalidator),
        experiences,
        settings.policies(),
        tally,
        vectors.indexes,
    )
    follower = InvalidationFollower(adapters.announcements, floors, memory, semantic, clock, settings.max_ttl)
    background = [backlog.run, tally.run, experiences.run, vectors.indexes.run, follower.run]
    statistics: dict[str, Statistics] = {
        "memory": memory.statistics,
        "indexes": vectors.indexes.statistics,
        "flights": flights.statistics,
        "experience": experiences.statistics,
        "backlog": backlog.statistics,
    }
    return _Wired(parts, vectors, (*background, *_vector_work(vectors, clock)), statistics | _more(vectors))


def _vector_work(vectors: _Vectors, clock: Clock) -> Iterator[Callable[[], Awaitable[None]]]:
    if vectors.queue is not None:
        yield vectors.queue.run
    snapshots = vectors.snapshots
    if snapshots is not None:

        async def save() -> None:
            while True:
                await clock.sleep(_SNAPSHOT_SECONDS)
                await snapshots.save(vectors.indexes, with_graphs=False)

        yield save


def _more(vectors: _Vectors) -> dict[str, Statistics]:
    found: dict[str, Statistics] = {}
    if vectors.queue is not None:
        found["embeddings"] = vectors.queue.statistics
    if vectors.snapshots is not None:
        found["snapshots"] = vectors.snapshots.statistics
    return found


def _cache_spec(
    settings: SemanticCacheSettings, runtime: Runtime, wired: _Wired, folder: ModelFolder | None
) -> ServiceSpec:
    lookups = runtime.telemetry.metrics.counter(CACHE_LOOKUPS)
    space = bytes.fromhex(folder.space) if folder is not None else NO_SPACE
    servicer = SemanticCacheServicer(wired.parts, runtime.clock, lookups, space)
    return ServiceSpec(
        registrations=(partial(add_SemanticCacheServiceServicer_to_server, servicer),),
        services=(CACHE,),
        methods=cache_policies(settings, folder.dimension if folder is not None else 0),
        authenticator=runtime.token_authenticator(),
        # Redis is missing from the readiness checks on purpose: without it every lookup is a miss, which is no failure.
        background=wired.background,
        routes=(statistics_route(wired.statistics),),
    )


def _with_embeddings(spec: ServiceSpec, queue: EmbeddingQueue, space: str) -> ServiceSpec:
    servicer = EmbeddingServicer(queue, space)
    return replace(
        spec,
        registrations=(*spec.registrations, partial(add_EmbeddingServiceServicer_to_server, servicer)),
        services=(*spec.services, EMBEDDING),
        methods={**spec.methods, **embedding_policies()},
        readiness={**spec.readiness, "embedding_model": queue.check},
    )
