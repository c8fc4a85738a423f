"""Wires the semantic cache: the only place that knows which adapter stands behind which port."""

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
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
from services.semantic_cache.adapters.statistics_page import statistics_route
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
_DISABLED: Final = ModelFolder(path=Path(), name="none", dimension=0)

LoadModel = Callable[[ModelFolder, int], EmbeddingModel]
"""Makes the model of a folder, to run on so many threads; called in a thread, may take seconds."""


@dataclass(frozen=True, slots=True)
class _Wired:
    """The domain, put together."""

    parts: Parts
    memory: ExactCache
    backlog: Backlog


@asynccontextmanager
async def build(
    settings: SemanticCacheSettings, runtime: Runtime, load_model: LoadModel = SentenceTransformerModel
) -> AsyncIterator[ServiceSpec]:
    """The service, ready to be served; Redis may be away, and the model is loaded in the background."""
    folder = settings.model_folder()
    with _embeddings(settings, folder, load_model) as queue:
        async with connect(settings.redis_url, timeout=settings.redis_timeout) as store:
            wired = _wire(settings, runtime, store, folder, queue)
            yield _spec(settings, runtime, store, wired, queue)
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
    return _Wired(parts, memory, backlog)


def _spec(
    settings: SemanticCacheSettings, runtime: Runtime, store: Store, wired: _Wired, queue: EmbeddingQueue | None
) -> ServiceSpec:
    parts = wired.parts
    lookups = runtime.telemetry.metrics.counter(CACHE_LOOKUPS)
    cache = SemanticCacheServicer(parts, runtime.clock, lookups, settings.default_ttl)
    statistics: dict[str, Callable[[], NamedTuple]] = {
        "memory": wired.memory.statistics,
        "indexes": parts.indexes.statistics,
        "backlog": wired.backlog.statistics,
    }
    registrations: tuple[Callable[[grpc.aio.Server], None], ...] = (
        partial(add_SemanticCacheServiceServicer_to_server, cache),
    )
    readiness: dict[str, Callable[[], Awaitable[None]]] = {"redis": store.ping}
    background = (wired.backlog.run, parts.tally.run)
    methods = _cache_methods(settings, queue)
    if queue is None:
        return ServiceSpec(
            registrations=registrations,
            services=(CACHE,),
            methods=methods,
            authenticator=runtime.token_authenticator(),
            readiness=readiness,
            background=background,
            routes=(statistics_route(statistics),),
        )
    embedding = EmbeddingServicer(queue)
    return ServiceSpec(
        registrations=(*registrations, partial(add_EmbeddingServiceServicer_to_server, embedding)),
        services=(CACHE, EMBEDDING),
        methods=methods | {f"/{EMBEDDING}/Embed": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validation.embed)},
        authenticator=runtime.token_authenticator(),
        readiness=readiness | {"embedding_model": queue.check},
        background=(*background, queue.run),
        routes=(statistics_route(statistics | {"embeddings": queue.statistics}),),
    )
