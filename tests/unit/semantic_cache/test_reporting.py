import asyncio

import pytest

from libs.core.errors import MeshError, Reason
from libs.testing.clock import ManualClock
from services.semantic_cache.floors import Floors
from services.semantic_cache.invalidation import Invalidator
from services.semantic_cache.ports import NewEntry
from services.semantic_cache.receipts import Ending, Receipt
from services.semantic_cache.reporting import Reporter
from tests.unit.semantic_cache.entries import alias_of, entry_of, question
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.fakes import FakeInvalidationStore, FakeTeacher

TARGET = question("How do I reset my password?")
ASKED = question("How can I reset the password?")


class World:
    """A reporter, and a store in which one answer was found for another question by meaning."""

    def __init__(self, clock: ManualClock, store: FakeEntryStore) -> None:
        self.clock = clock
        self.store = store
        self.teacher = FakeTeacher()
        invalidator = Invalidator(FakeInvalidationStore(store), store, None, Floors(clock, 0.4), clock)
        self.reporter = Reporter(self.teacher, invalidator)

    async def serve(self) -> None:
        entry = entry_of(TARGET, asked_at=self.store.instant())
        await self.store.put(TARGET.key, NewEntry(entry, 100.0, "u1"))
        alias = alias_of(TARGET, entry).alias
        assert alias is not None
        await self.store.put_alias(ASKED.key, alias, 100.0, "u1")

    async def report(self, receipt: Receipt | None, right: bool) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.reporter.report("t1", "request-1", receipt, right))
            await self.clock.settle()
            self.clock.advance(0.405)

    async def served(self) -> list[bool]:
        return [(await self.store.open(each.key)).kept is not None for each in (TARGET, ASKED)]


@pytest.fixture
async def world(clock: ManualClock, store: FakeEntryStore) -> World:
    made = World(clock, store)
    await made.serve()
    return made


def receipt(ending: Ending) -> Receipt:
    return Receipt(ending, 1, ASKED.key.scope, ASKED.key.entry, TARGET.key.entry, b"of right")


async def test_a_wrong_hit_by_meaning_teaches_and_is_not_served_for_that_text_again(world: World) -> None:
    sent = receipt(Ending.SERVED)
    await world.report(sent, right=False)
    assert world.teacher.lessons == [("t1", "request-1", sent, None)]
    # It may well be right for the question it was made for.
    assert await world.served() == [True, False]
    assert (await world.store.open(ASKED.key)).barred > 0


async def test_a_right_one_teaches_and_stays(world: World) -> None:
    sent = receipt(Ending.SERVED)
    await world.report(sent, right=True)
    assert world.teacher.lessons == [("t1", "request-1", sent, sent.group)]
    assert await world.served() == [True, True]


async def test_a_wrong_answer_to_the_same_text_goes_and_teaches_nothing_of_meaning(world: World) -> None:
    await world.report(
        Receipt(Ending.SERVED_EXACT, 1, TARGET.key.scope, TARGET.key.entry, TARGET.key.entry), right=False
    )
    assert world.teacher.lessons == []
    assert await world.served() == [False, False]


@pytest.mark.parametrize("sent", [None, receipt(Ending.MISSED), receipt(Ending.AUDITED)])
async def test_what_was_not_served_cannot_be_reported(world: World, sent: Receipt | None) -> None:
    with pytest.raises(MeshError) as raised:
        await world.reporter.report("t1", "request-1", sent, right=False)
    assert raised.value.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in raised.value.violations] == ["receipt"]
    assert await world.served() == [True, True]


async def test_what_cannot_be_learned_is_not_acknowledged(world: World) -> None:
    world.teacher.down = True
    with pytest.raises(ExceptionGroup) as raised:
        await world.report(receipt(Ending.SERVED), right=False)
    (error,) = raised.value.exceptions
    assert isinstance(error, MeshError)
    assert error.reason is Reason.STORE_UNAVAILABLE
