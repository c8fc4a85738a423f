"""One replica of the cache's domain, on fakes."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from libs.core.clock import Clock
from libs.core.rng import new_rng
from services.semantic_cache.backlog import Backlog
from services.semantic_cache.entry import Usage
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.flight import FlightOptions, Flights
from services.semantic_cache.floors import Floors
from services.semantic_cache.index.indexes import Indexes, IndexLimits
from services.semantic_cache.index.member import Vector
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.invalidation import InvalidationFollower, Invalidator
from services.semantic_cache.keeping import Answer, Keeper, Keeping, Shelves, Terms
from services.semantic_cache.leasing import Leases
from services.semantic_cache.lookup import Asked, Finder, Layers, Outcome
from services.semantic_cache.receipts import Receipt
from services.semantic_cache.scope import Question
from services.semantic_cache.semantic import SemanticOptions, SemanticSearch
from services.semantic_cache.settling import Settler
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.fakes import (
    DIMENSION,
    FakeEmbedder,
    FakeInvalidationStore,
    FakeJudge,
    FakeTeacher,
)

TRUST: Final = 0.4
ACKNOWLEDGED: Final = 0.405
LIFE: Final = 10_000.0
RATE: Final = 0.02


@dataclass(slots=True)
class Replica:
    clock: Clock
    store: FakeEntryStore
    link: FakeInvalidationStore
    embedder: FakeEmbedder
    judge: FakeJudge
    teacher: FakeTeacher
    memory: ExactCache
    floors: Floors
    flights: Flights
    indexes: Indexes
    backlog: Backlog
    finder: Finder
    keeper: Keeper
    leases: Leases
    follower: InvalidationFollower
    invalidator: Invalidator

    async def put(
        self,
        question: Question,
        answer: str = "the answer",
        ttl: float = 1000.0,
        vector: Vector | None = None,
        *,
        lease_token: bytes = b"",
        receipt: Receipt | None = None,
        tags: tuple[str, ...] = (),
    ) -> Keeping:
        made = Answer(answer, "a-model", Usage(1, 2, 3, 4), 500)
        leased_at = int.from_bytes(lease_token[:8], "big")
        return await self.keeper.keep(
            question, made, Terms("request-1", ttl, vector, lease_token, leased_at, receipt, tags)
        )

    async def lookup(
        self, question: Question, *, exact_only: bool = False, max_wait: float = 0.0, explain: bool = False
    ) -> Outcome:
        return await self.finder.lookup(question, Asked(RATE, exact_only, max_wait, explain))

    async def hear(self) -> None:
        """What the follower does many times a second."""
        await self.follower.poll()


def replica(
    clock: Clock,
    store: FakeEntryStore,
    *,
    memory_bytes: int = 1_000_000,
    capacity: int = 100,
    waiting: int = 2_000,
    seed: int = 1,
    semantic: bool = True,
) -> Replica:
    memory, embedder, judge, teacher = ExactCache(memory_bytes), FakeEmbedder(), FakeJudge(), FakeTeacher()
    link, floors = FakeInvalidationStore(store), Floors(clock, TRUST)
    # Nothing is large enough to need work in the background.
    indexes = Indexes(Shape(DIMENSION, capacity=50), IndexLimits(), Executor())
    flights = Flights(store, new_rng(seed), FlightOptions(waiting=waiting))
    search = SemanticSearch(store, indexes, None, embedder, judge, clock, SemanticOptions()) if semantic else None
    settler = Settler(store, search, embedder, teacher, clock, 0.85) if search is not None else None
    backlog = Backlog(store, flights, search, settler, clock, capacity)
    return Replica(
        clock,
        store,
        link,
        embedder,
        judge,
        teacher,
        memory,
        floors,
        flights,
        indexes,
        backlog,
        Finder(Layers(memory, floors, store, flights, search, judge), backlog, clock),
        Keeper(Shelves(memory, store, flights, search), backlog, clock, new_rng(seed)),
        Leases(store, flights),
        InvalidationFollower(link, floors, memory, search, clock, LIFE),
        Invalidator(link, store, None, floors, clock),
    )
