import asyncio

import pytest

from libs.core.errors import MeshError, Reason
from libs.testing.clock import ManualClock
from services.semantic_cache.entry import Kept
from services.semantic_cache.exact import ExactCache
from services.semantic_cache.floors import Floors
from services.semantic_cache.invalidation import InvalidationFollower, Invalidator
from services.semantic_cache.ports import NewEntry
from services.semantic_cache.scope import Question, tag_mark
from tests.unit.semantic_cache.entries import entry_of, question
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.fakes import FakeInvalidationStore

TRUST = 0.4
ACKNOWLEDGED = 0.405
LIFE = 1_000.0
ASKED = question("How do I reset my password?")


class Side:
    """One replica's memory, and how it hears of invalidations."""

    def __init__(self, store: FakeEntryStore, clock: ManualClock) -> None:
        self.link = FakeInvalidationStore(store)
        self.memory = ExactCache(1_000_000)
        self.floors = Floors(clock, TRUST)
        self.follower = InvalidationFollower(self.link, self.floors, self.memory, None, clock, LIFE)
        self.invalidator = Invalidator(self.link, store, None, self.floors, clock)
        self._store = store
        self._clock = clock

    def remember(self, asked: Question = ASKED) -> None:
        kept = Kept(entry_of(asked, asked_at=self._store.instant(), expires_at=self._clock.time() + LIFE))
        self.memory.put(asked.key.entry, kept)

    def gives_out(self, asked: Question = ASKED) -> bool:
        kept = self.memory.get(asked.key.entry, self._clock.time())
        return kept is not None and self.floors.trusted and self.floors.allows(asked.key, kept)


@pytest.fixture
def side(store: FakeEntryStore, clock: ManualClock) -> Side:
    return Side(store, clock)


async def test_no_replica_gives_out_what_was_invalidated_before_the_acknowledgement(
    store: FakeEntryStore, clock: ManualClock, side: Side
) -> None:
    hears, deaf = side, Side(store, clock)
    for each in (hears, deaf):
        await each.follower.poll()
        each.remember()
        assert each.gives_out()
    deaf.link.down = True
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(side.invalidator.invalidate("t1", ASKED.key.entry))
        await clock.settle()
        await hears.follower.poll()
        await deaf.follower.poll()
        clock.advance(ACKNOWLEDGED)
    assert not hears.gives_out()
    assert not deaf.gives_out()


async def test_it_is_not_acknowledged_before_every_replica_must_have_heard(clock: ManualClock, side: Side) -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(side.invalidator.invalidate("t1", b""))
        await clock.settle()
        clock.advance(TRUST)
        await clock.settle()
        assert not task.done()
        clock.advance(ACKNOWLEDGED - TRUST)


async def test_one_that_cannot_be_announced_is_not_acknowledged(side: Side) -> None:
    side.link.down = True
    with pytest.raises(MeshError) as raised:
        await side.invalidator.invalidate("t1", b"")
    assert raised.value.reason is Reason.STORE_UNAVAILABLE


async def test_a_follower_keeps_memory_trusted_and_goes_on_after_an_outage(clock: ManualClock, side: Side) -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(side.follower.run())
        await clock.settle()
        side.remember()
        for _ in range(40):
            await clock.run(0.05)
            assert side.gives_out()
        side.link.down = True
        await clock.run(TRUST)
        assert not side.gives_out()
        side.link.down = False
        await clock.run(TRUST)
        assert side.gives_out()
        task.cancel()


async def test_after_a_gap_nothing_that_memory_holds_is_given_out(store: FakeEntryStore, side: Side) -> None:
    await side.follower.poll()
    side.remember()
    store.invalidate("t1", ASKED.key.entry)
    store.invalidate("t1", b"something else")
    side.link.forgotten = 1
    await side.follower.poll()
    assert side.floors.trusted
    assert not side.gives_out()
    side.remember()
    assert side.gives_out()


async def test_what_memory_held_before_the_first_word_is_not_given_out(store: FakeEntryStore, side: Side) -> None:
    side.remember()
    store.invalidate("t1", ASKED.key.entry)
    await side.follower.poll()
    assert not side.gives_out()


async def test_what_is_made_afterwards_is_given_out(store: FakeEntryStore, side: Side) -> None:
    await side.follower.poll()
    store.invalidate("t1", b"")
    await side.follower.poll()
    side.remember()
    assert side.gives_out()


async def test_marks_are_forgotten_when_all_that_bore_them_has_expired(clock: ManualClock, side: Side) -> None:
    floors = Floors(clock, trust_seconds=100.0)
    follower = InvalidationFollower(side.link, floors, side.memory, None, clock, LIFE)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(follower.run())
        await clock.settle()
        await side.link.invalidate("t1", tag_mark("x"))
        await clock.run(2 * LIFE)
        assert "1 marks" in repr(floors)
        await clock.run(700.0)
        assert "0 marks" in repr(floors)
        task.cancel()


async def keep(store: FakeEntryStore, asked: Question) -> None:
    entry = entry_of(asked, asked_at=store.instant())
    assert await store.put(asked.key, NewEntry(entry, LIFE, asked.scope.user_id))


async def test_erasing_a_user_takes_what_they_put_and_nothing_else(
    store: FakeEntryStore, clock: ManualClock, side: Side
) -> None:
    theirs = [question(f"question {number}", personal=bool(number % 2)) for number in range(450)]
    others = [question("question", user="u2"), question("question", tenant="t2")]
    for asked in (*theirs, *others):
        await keep(store, asked)
    await side.follower.poll()
    side.remember(theirs[0])
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(side.invalidator.erase_user("t1", "u1"))
        await clock.settle(60)
        await side.follower.poll()
        assert not side.gives_out(theirs[0])
        clock.advance(ACKNOWLEDGED)
    assert task.result() == 450
    assert await store.put_by("t1", "u1") == []
    assert [entry is not None for entry in await store.get_many([each.key for each in theirs])] == [False] * 450
    assert (await store.get_many([others[0].key]))[0] is not None
    assert (await store.get_many([others[1].key]))[0] is not None


async def test_an_answer_that_was_in_the_making_while_its_user_was_erased_is_not_kept(
    store: FakeEntryStore, clock: ManualClock, side: Side
) -> None:
    begun = await store.open(ASKED.key, 5.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(side.invalidator.erase_user("t1", "u1"))
        await clock.settle()
        clock.advance(ACKNOWLEDGED)
    late = entry_of(ASKED, asked_at=begun.asked_at)
    assert not await store.put(ASKED.key, NewEntry(late, LIFE, "u1", lease_token=begun.lease_token))
    assert not store.leased(ASKED.key)
