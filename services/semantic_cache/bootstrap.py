"""Wires the semantic cache: the only place that knows which adapter stands behind which port."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import (
    add_EmbeddingServiceServicer_to_server,
    add_SemanticCacheServiceServicer_to_server,
)
from libs.server.runtime import Runtime
from libs.server.spec import Access, MethodPolicy, ServiceSpec
from libs.store.connection import Store, connect
from libs.telemetry.catalogue import CACHE_LOOKUPS
from services.semantic_cache import validation
from services.semantic_cache.adapters.redis_entries import RedisEntryStore, VectorSpace
from services.semantic_cache.adapters.redis_tally import RedisTallyStore
from services.semantic_cache.adapters.sentence_transformer import SentenceTransformerModel
from services.semantic_cache.adapters.statistics_page import Statistics, statistics_route
from services.semantic_cache.backlog import Backlog
from services.semantic_cache.batching import BatchLimits, EmbeddingQueue
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.indexes import Indexes, IndexLimits
from services.semantic_cache.keeping import Keeper
from services.semantic_cache.lookup import Finder
from services.semantic_cache.model_folder import ModelFolder
from services.semantic_cache.ports import EmbeddingModel
from services.semantic_cache.semantic import SemanticOptions, SemanticSearch
from services.semantic_cache.servicer import EmbeddingServicer, Parts, SemanticCacheServicer
from services.semantic_cache.settings import SemanticCacheSettings
from services.semantic_cache.tally import Tally

CACHE: Final = "agentmesh.semantic_cache.v1.SemanticCacheService"
EMBEDDING: Final = "agentmesh.semantic_cache.v1.EmbeddingService"
_TIMEOUT: Final = 5.0

LoadModel = Callable[[ModelFolder, int], EmbeddingModel]
"""Makes the model of a folder, to run on so many threads; called in a thread, may take seconds."""


@dataclass(frozen=True, slots=True)
class _Wired:
    """The domain, put together."""

    parts: Parts
    backlog: Backlog
    statistics: Mapping[str, Statistics]
    """Snapshots for the admin port."""


@asynccontextmanager
async def build(
    settings: SemanticCacheSettings, runtime: Runtime, load_model: LoadModel = SentenceTransformerModel
) -> AsyncIterator[ServiceSpec]:
    """The service, ready to be served; Redis may be away, and the model is loaded in the background."""
    folder = settings.model_folder()
    with _embeddings(settings, folder, load_model) as queue:
        async with connect(settings.redis_url, timeout=settings.redis_timeout) as store:
            wired = _wire(settings, runtime, store, folder, queue)
            spec = _cache_spec(settings, runtime, wired, folder.dimension if folder is not None else 0)
            yield spec if queue is None else _with_embeddings(spec, queue)
            await wired.parts.tally.flush()


@contextmanager
def _embeddings(
    settings: SemanticCacheSettings, folder: ModelFolder | None, load_model: LoadModel
) -> Iterator[EmbeddingQueue | None]:
    if folder is None:
        yield None
        return
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding")
    try:
        load = partial(load_model, folder, settings.embedding_threads)
        yield EmbeddingQueue(load, executor, BatchLimits(waiting=settings.embedding_queue))
    finally:
        # Nobody waits for a batch any more.
        executor.shutdown(wait=False, cancel_futures=True)


def _wire(
    settings: SemanticCacheSettings,
    runtime: Runtime,
    store: Store,
    folder: ModelFolder | None,
    queue: EmbeddingQueue | None,
) -> _Wired:
    clock = runtime.clock
    memory = ExactCache(settings.memory_bytes)
    indexes = Indexes(IndexLimits(per_scope=settings.scope_entries, vectors=settings.index_entries))
    # Without a model nothing is ever written to the space.
    space = VectorSpace(folder.space, folder.dimension, settings.scope_entries) if folder else VectorSpace("none", 0, 1)
    entries = RedisEntryStore(store, space)
    semantic: SemanticSearch | None = None
    if queue is not None:
        options = SemanticOptions(threshold=settings.similarity_threshold)
        semantic = SemanticSearch(entries, indexes, queue, clock, options)
    backlog = Backlog(entries, indexes, queue, clock, settings.backlog_size)
    parts = Parts(
        Finder(memory, entries, semantic, backlog, clock),
        Keeper(memory, entries, semantic, backlog, clock, runtime.rng),
        Tally(RedisTallyStore(store), clock),
        indexes,
    )
    statistics: dict[str, Statistics] = {
        "memory": memory.statistics,
        "indexes": indexes.statistics,
        "backlog": backlog.statistics,
    }
    if queue is not None:
        statistics["embeddings"] = queue.statistics
    return _Wired(parts, backlog, statistics)


def _cache_spec(settings: SemanticCacheSettings, runtime: Runtime, wired: _Wired, dimension: int) -> ServiceSpec:
    lookups = runtime.telemetry.metrics.counter(CACHE_LOOKUPS)
    servicer = SemanticCacheServicer(wired.parts, runtime.clock, lookups, settings.default_ttl)
    validate_put = validation.PutValidator(settings.max_ttl, dimension)
    return ServiceSpec(
        registrations=(partial(add_SemanticCacheServiceServicer_to_server, servicer),),
        services=(CACHE,),
        methods={
            f"/{CACHE}/Lookup": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validation.lookup),
            f"/{CACHE}/Put": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validate_put),
            f"/{CACHE}/GetStats": MethodPolicy(Access.USER, "", _TIMEOUT),
        },
        authenticator=runtime.token_authenticator(),
        # Redis is missing from the readiness checks on purpose: without it, answers in memory are still worth having.
        background=(wired.backlog.run, wired.parts.tally.run),
        routes=(statistics_route(wired.statistics),),
    )


def _with_embeddings(spec: ServiceSpec, queue: EmbeddingQueue) -> ServiceSpec:
    policy = MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validation.embed)
    return replace(
        spec,
        registrations=(*spec.registrations, partial(add_EmbeddingServiceServicer_to_server, EmbeddingServicer(queue))),
        services=(*spec.services, EMBEDDING),
        methods={**spec.methods, f"/{EMBEDDING}/Embed": policy},
        readiness={**spec.readiness, "embedding_model": queue.check},
        background=(*spec.background, queue.run),
    )
