"""Whatever consumers do, and however they die, every entry is in exactly one place and has at most one owner."""

import asyncio
from collections.abc import Coroutine
from typing import ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from libs.store.entries import Entry
from libs.store.replies import array, blob
from libs.store.streams import StreamQueue

KEY = "test:{property}:queue"
CONSUMERS = st.sampled_from(["a", "b", "c"])
COUNTS = st.integers(1, 4)
T = TypeVar("T")


class QueueMachine(RuleBasedStateMachine):
    """A model beside the real queue: where each entry, named by its origin, must be."""

    url: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = self.run(self._open())
        self.queue = StreamQueue(self.store, KEY)
        self.waiting: set[bytes] = set()
        self.held: dict[bytes, Entry] = {}
        self.delayed: dict[bytes, bool] = {}
        self.dead: dict[bytes, bytes] = {}
        self.done: set[bytes] = set()
        self.deliveries: dict[bytes, int] = {}
        self.stale: list[Entry] = []

    async def _open(self) -> Store:
        store = connect(self.url)
        await store.execute("FLUSHALL")
        return store

    def run(self, step: Coroutine[object, object, T]) -> T:
        return self.runner.run(step)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()

    @rule()
    def enqueue(self) -> None:
        origin = self.run(self.queue.enqueue({"n": str(len(self.deliveries))}))
        assert origin not in self.deliveries
        self.deliveries[origin] = 0
        self.waiting.add(origin)

    @rule(consumer=CONSUMERS, count=COUNTS)
    def read(self, consumer: str, count: int) -> None:
        entries = self.run(self.queue.read(consumer, count))
        assert len(entries) == min(count, len(self.waiting))
        for entry in entries:
            self.waiting.remove(entry.origin)
            self._given(entry, consumer)

    @rule(consumer=CONSUMERS, count=COUNTS)
    def claim_what_the_others_left_behind(self, consumer: str, count: int) -> None:
        working = [entry.id for entry in self.held.values() if entry.consumer == consumer]
        claimable = len(self.held) - len(working)
        entries = self.run(self.queue.claim_idle(consumer, 0, count, working=working))
        assert len(entries) == min(count, claimable)
        for entry in entries:
            self.stale.append(self.held.pop(entry.origin))
            self._given(entry, consumer)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        entry = self._one(data)
        assert self.run(self.queue.ack(entry.id))
        assert not self.run(self.queue.ack(entry.id))
        self.done.add(self.held.pop(entry.origin).origin)
        self.stale.append(entry)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), due=st.booleans())
    def delay(self, data: st.DataObject, due: bool) -> None:
        entry = self._one(data)
        assert self.run(self.queue.delay(entry, 0 if due else 3600))
        self.delayed[self.held.pop(entry.origin).origin] = due
        self.stale.append(entry)

    @rule(limit=COUNTS)
    def promote(self, limit: int) -> None:
        due = {origin for origin, is_due in self.delayed.items() if is_due}
        assert self.run(self.queue.promote_due(limit)) == min(limit, len(due))
        left = {blob(origin) for origin in array(self.run(self.store.execute("HKEYS", f"{KEY}:held")))}
        for origin in due - left:
            del self.delayed[origin]
            self.waiting.add(origin)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def dead_letter(self, data: st.DataObject) -> None:
        entry = self._one(data)
        letter_id = self.run(self.queue.dead_letter(entry, "given up"))
        assert letter_id is not None
        self.dead[self.held.pop(entry.origin).origin] = letter_id
        self.stale.append(entry)

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        origin = data.draw(st.sampled_from(sorted(self.dead)))
        assert self.run(self.queue.replay(self.dead.pop(origin))) is not None
        self.deliveries[origin] = 0
        self.waiting.add(origin)

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def who_lost_an_entry_has_no_say(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(self.stale))
        assert not self.run(self.queue.delay(entry, 0))
        assert self.run(self.queue.dead_letter(entry, "late")) is None
        owner = self.held.get(entry.origin)
        if owner is None or owner.id != entry.id or owner.consumer != entry.consumer:
            assert self.run(self.queue.heartbeat(entry.consumer, [entry.id])) == [entry.id]

    @rule(consumer=CONSUMERS)
    def leave(self, consumer: str) -> None:
        mine = [entry for entry in self.held.values() if entry.consumer == consumer]
        assert self.run(self.queue.leave(consumer)) == len(mine)

    @rule()
    def prune(self) -> None:
        self.run(self.queue.prune_consumers(0))

    @invariant()
    def every_entry_is_in_exactly_one_place(self) -> None:
        statistics = self.run(self.queue.statistics())
        assert statistics.waiting == len(self.waiting)
        assert statistics.pending == len(self.held)
        assert statistics.delayed == len(self.delayed)
        assert statistics.dead == len(self.dead)
        places = [*self.waiting, *self.held, *self.delayed, *self.dead, *self.done]
        assert sorted(places) == sorted(self.deliveries)

    @invariant()
    def owners_are_who_we_think(self) -> None:
        for consumer in ("a", "b", "c"):
            mine = [entry.id for entry in self.held.values() if entry.consumer == consumer]
            others = [entry.id for entry in self.held.values() if entry.consumer != consumer]
            assert self.run(self.queue.heartbeat(consumer, mine + others)) == others

    def _one(self, data: st.DataObject) -> Entry:
        return self.held[data.draw(st.sampled_from(sorted(self.held)))]

    def _given(self, entry: Entry, consumer: str) -> None:
        self.deliveries[entry.origin] += 1
        assert entry.consumer == consumer
        assert entry.deliveries == self.deliveries[entry.origin]
        self.held[entry.origin] = entry


def test_nothing_is_lost_doubled_or_owned_twice(redis: EmbeddedRedis) -> None:
    machine = type("Machine", (QueueMachine,), {"url": redis.url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
