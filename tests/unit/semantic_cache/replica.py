"""One replica of the cache's domain, on fakes."""

from dataclasses import dataclass

from libs.core.rng import new_rng
from libs.testing.clock import ManualClock
from services.semantic_cache.backlog import Backlog
from services.semantic_cache.entry import Usage
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.indexes import Indexes, IndexLimits
from services.semantic_cache.keeping import Answer, Keeper
from services.semantic_cache.lookup import Finder, Outcome
from services.semantic_cache.scope import Question, Scope, ask
from services.semantic_cache.semantic import SemanticOptions, SemanticSearch
from services.semantic_cache.vectors import Vector
from tests.unit.semantic_cache.fakes import FakeEmbedder, FakeEntryStore


@dataclass(slots=True)
class Replica:
    clock: ManualClock
    store: FakeEntryStore
    embedder: FakeEmbedder
    memory: ExactCache
    indexes: Indexes
    backlog: Backlog
    finder: Finder
    keeper: Keeper

    async def put(
        self, question: Question, answer: str = "the answer", ttl: float = 1000.0, vector: Vector | None = None
    ) -> bool:
        return await self.keeper.keep(question, Answer(answer, "a-model", Usage(1, 2, 3, 4), 500), ttl, vector)

    async def lookup(self, question: Question, exact_only: bool = False) -> Outcome:
        return await self.finder.lookup(question, exact_only)


def replica(
    clock: ManualClock, store: FakeEntryStore, *, memory_bytes: int = 1_000_000, capacity: int = 100
) -> Replica:
    memory, embedder = ExactCache(memory_bytes), FakeEmbedder()
    indexes = Indexes(IndexLimits(per_scope=50))
    semantic = SemanticSearch(store, indexes, embedder, clock, SemanticOptions())
    backlog = Backlog(store, indexes, embedder, clock, capacity)
    return Replica(
        clock,
        store,
        embedder,
        memory,
        indexes,
        backlog,
        Finder(memory, store, semantic, backlog, clock),
        Keeper(memory, store, semantic, backlog, clock, new_rng(1)),
    )


def scope(
    tenant: str = "t1",
    user: str = "u1",
    *,
    personal: bool = False,
    tier: int = 1,
    model: str = "",
    instructions: str = "",
    context: str = "",
) -> Scope:
    return Scope(tenant, user, personal, tier, model, instructions, context)


def question(text: str, *, user: str = "u1", personal: bool = False) -> Question:
    return ask(scope(user=user, personal=personal), text)
