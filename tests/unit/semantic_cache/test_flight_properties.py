import asyncio
from dataclasses import dataclass, field
from enum import Enum

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.rng import new_rng
from libs.testing.virtual_loop import LoopClock, run_virtual
from services.semantic_cache.entry import Kept
from services.semantic_cache.flight import FlightOptions, Flights
from services.semantic_cache.leasing import Leases
from services.semantic_cache.ports import NewEntry, Opened, Standing
from tests.unit.semantic_cache.entries import entry_of, question
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.properties import seeded

OPTIONS = FlightOptions(lease_seconds=2.0, first_look=0.02, slowest_look=0.25, waiting=1_000)
LATENCY = 0.001
# A look that just missed, the longest pause there is, and the way to the store and back.
NOTICED = 2 * 1.25 * OPTIONS.slowest_look + 4 * LATENCY
KEY = question("How do I reset my password?").key


class Fate(Enum):
    """What a caller does with a lease."""

    ANSWERS = "answers"
    DIES = "dies"
    FAILS = "fails"
    KEEPS_FOR_ITSELF = "keeps for itself"


@dataclass(frozen=True, slots=True)
class Caller:
    at: float
    replica: int
    patience: float
    fate: Fate
    work: float
    """Seconds its answer takes; less than a lease."""
    leaves_after: float | None
    """Cancelled after so many seconds of waiting."""


@dataclass(slots=True)
class Seen:
    """What happened."""

    leading: int = 0
    most_leading: int = 0
    ended: list[tuple[Caller, float, Opened | None]] = field(default_factory=list)
    answers: int = 0


class World:
    """Replicas, a store, and callers with their fates."""

    def __init__(self) -> None:
        self.clock = LoopClock(asyncio.get_running_loop())
        self.store = FakeEntryStore(self.clock, latency=LATENCY)
        self.replicas = [Flights(self.store, new_rng(number), OPTIONS) for number in range(3)]
        self.seen = Seen()

    async def call(self, caller: Caller) -> None:
        await self.clock.sleep(caller.at)
        begun = self.clock.monotonic()
        opened: Opened | None = None
        try:
            async with asyncio.timeout(caller.leaves_after):
                opened = await self.ask(caller)
        except TimeoutError:
            pass
        self.seen.ended.append((caller, self.clock.monotonic() - begun, opened))
        if opened is not None and opened.standing is Standing.GRANTED:
            await self.lead(caller, opened)

    async def ask(self, caller: Caller) -> Opened:
        opened = await self.store.open(KEY, OPTIONS.lease_seconds)
        if opened.standing is not Standing.HELD:
            return opened
        until = asyncio.get_running_loop().time() + caller.patience
        return await self.replicas[caller.replica].wait(KEY, opened.asked_at, until)

    async def lead(self, caller: Caller, opened: Opened) -> None:
        self.seen.leading += 1
        self.seen.most_leading = max(self.seen.leading, self.seen.most_leading)
        flights = self.replicas[caller.replica]
        match caller.fate:
            case Fate.ANSWERS:
                await self.clock.sleep(caller.work)
                kept = Kept(entry_of(question("x"), asked_at=opened.asked_at))
                self.seen.leading -= 1
                await self.store.put(KEY, NewEntry(kept.entry, 1_000.0, "u1", lease_token=opened.lease_token))
                flights.land(KEY, kept, opened.asked_at)
                self.seen.answers += 1
            case Fate.DIES:
                await self.clock.sleep(OPTIONS.lease_seconds - 0.01)
                self.seen.leading -= 1
            case Fate.FAILS | Fate.KEEPS_FOR_ITSELF:
                await self.clock.sleep(caller.work)
                self.seen.leading -= 1
                reusable = caller.fate is Fate.FAILS
                await Leases(self.store, flights).release(KEY, opened.lease_token, reusable=reusable)


callers = st.lists(
    st.builds(
        Caller,
        at=st.floats(0, 6),
        replica=st.integers(0, 2),
        patience=st.floats(0.1, 12),
        fate=st.sampled_from(Fate),
        work=st.floats(0.01, 1.9),
        leaves_after=st.none() | st.floats(0.05, 4),
    ),
    min_size=1,
    max_size=25,
)


@given(callers)
@settings(seeded, max_examples=150)
def test_one_leads_at_a_time_and_nobody_waits_in_vain(crowd: list[Caller]) -> None:
    async def main() -> World:
        world = World()
        async with asyncio.TaskGroup() as tasks:
            for caller in crowd:
                tasks.create_task(world.call(caller))
        return world

    world = run_virtual(main())
    seen = world.seen
    assert seen.most_leading <= 1
    assert len(seen.ended) == len(crowd)
    for caller, waited, opened in seen.ended:
        assert waited <= caller.patience + 6 * LATENCY
        if opened is not None and opened.kept is not None:
            assert seen.answers
    # Whoever is left with nothing ran out of patience, or was told that there will be nothing.
    for caller, waited, opened in seen.ended:
        if opened is not None and opened.standing is Standing.HELD:
            assert waited >= caller.patience
        if opened is not None and opened.standing is Standing.OPEN:
            assert any(other.fate is Fate.KEEPS_FOR_ITSELF for other in crowd)
    assert all(flights.statistics()[:2] == (0, 0) for flights in world.replicas)


@given(st.lists(st.sampled_from([Fate.DIES, Fate.FAILS]), max_size=4), st.integers(1, 20))
@settings(seeded, max_examples=50)
def test_the_answer_comes_after_all_the_failures_and_no_later(failures: list[Fate], waiting: int) -> None:
    """However many leaders fail, the next takes over: the wait is the sum of what they took."""

    async def main() -> tuple[float, int]:
        world = World()
        fates = [*failures, Fate.ANSWERS]

        async def call(number: int) -> None:
            opened = await world.ask(Caller(0.0, number % 3, 100.0, Fate.ANSWERS, 0.5, None))
            if opened.standing is Standing.GRANTED:
                await world.lead(Caller(0.0, number % 3, 100.0, fates.pop(0), 0.5, None), opened)

        begun = world.clock.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(len(fates) + waiting):
                tasks.create_task(call(number))
        return world.clock.monotonic() - begun, world.seen.answers

    elapsed, answers = run_virtual(main())
    lost = sum(OPTIONS.lease_seconds if fate is Fate.DIES else 0.5 for fate in failures)
    assert answers == 1
    assert elapsed <= lost + 0.5 + NOTICED * (len(failures) + 1)
