"""The worker pool on a queue in memory and virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from libs.core.errors import MeshError, Reason
from libs.store.entries import Entry
from libs.store.worker import Dead, Disposition, Done, PoolOptions, Retry, Worker, WorkerPool, WorkQueue
from libs.telemetry import logs
from libs.testing.clock import ManualClock

TAKEOVER = 15.0


@dataclass
class _Held:
    entry: Entry
    since: float


@dataclass
class FakeQueue(WorkQueue):
    """Entries wait, are held by somebody, or are delayed, dead or done."""

    clock: ManualClock
    waiting: list[Entry] = field(default_factory=list)
    held: dict[bytes, _Held] = field(default_factory=dict)
    delayed: list[tuple[float, Entry]] = field(default_factory=list)
    dead: list[tuple[bytes, str]] = field(default_factory=list)
    done: list[bytes] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    pruned: int = 0
    down: bool = False

    def put(self, *names: str) -> None:
        for name in names:
            self.waiting.append(Entry(name.encode(), name.encode(), {}, 1, ""))

    def hold(self, name: str, consumer: str) -> None:
        """Let another consumer have been given an entry just now."""
        entry = Entry(name.encode(), name.encode(), {}, 1, consumer)
        self.held[entry.id] = _Held(entry, self.clock.monotonic())

    async def read(self, consumer: str, count: int = 1, block_seconds: float = 0.0) -> list[Entry]:
        self._alive()
        if not self.waiting:
            await self.clock.sleep(block_seconds)
            self._alive()
        given = [replace(entry, consumer=consumer) for entry in self.waiting[:count]]
        del self.waiting[:count]
        for entry in given:
            self.held[entry.id] = _Held(entry, self.clock.monotonic())
        return given

    async def claim_idle(
        self, consumer: str, min_idle_seconds: float, count: int = 10, *, working: Collection[bytes] = ()
    ) -> list[Entry]:
        self._alive()
        claimed: list[Entry] = []
        for held in list(self.held.values()):
            idle = self.clock.monotonic() - held.since
            if len(claimed) < count and idle >= min_idle_seconds and held.entry.id not in working:
                entry = replace(held.entry, consumer=consumer, deliveries=held.entry.deliveries + 1)
                self.held[entry.id] = _Held(entry, self.clock.monotonic())
                claimed.append(entry)
        return claimed

    async def heartbeat(self, consumer: str, entry_ids: Sequence[bytes]) -> list[bytes]:
        self._alive()
        lost = []
        for entry_id in entry_ids:
            held = self.held.get(entry_id)
            if held is None or held.entry.consumer != consumer:
                lost.append(entry_id)
            else:
                held.since = self.clock.monotonic()
        return lost

    async def ack(self, entry_id: bytes) -> bool:
        self._alive()
        self.done.append(entry_id)
        return self.held.pop(entry_id, None) is not None

    async def delay(self, entry: Entry, seconds: float) -> bool:
        self._alive()
        self.delayed.append((self.clock.monotonic() + seconds, entry))
        return self.held.pop(entry.id, None) is not None

    async def dead_letter(self, entry: Entry, reason: str) -> bytes | None:
        self._alive()
        self.dead.append((entry.id, reason))
        self.held.pop(entry.id, None)
        return entry.id

    async def promote_due(self, limit: int = 100) -> int:
        self._alive()
        due = [item for item in self.delayed if item[0] <= self.clock.monotonic()]
        for item in due:
            self.delayed.remove(item)
            self.waiting.append(replace(item[1], deliveries=item[1].deliveries + 1))
        return len(due)

    async def prune_consumers(self, idle_seconds: float) -> int:
        self.pruned += 1
        return 0

    async def leave(self, consumer: str) -> int:
        self._alive()
        self.left.append(consumer)
        return 0

    def _alive(self) -> None:
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE)


class Hands(Worker):
    """Works until it is let go, or does what `does` says."""

    def __init__(self, does: Callable[[Entry], Disposition] | None = None) -> None:
        self.does = does
        self.go = asyncio.Event()
        self.working: list[bytes] = []
        self.most = 0
        self.begun: list[Entry] = []
        self.ended: list[bytes] = []
        self.cancelled: list[bytes] = []

    async def work(self, entry: Entry) -> Disposition:
        self.begun.append(entry)
        self.working.append(entry.id)
        self.most = max(self.most, len(self.working))
        try:
            if self.does is not None:
                return self.does(entry)
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(entry.id)
            raise
        finally:
            self.working.remove(entry.id)
        self.ended.append(entry.id)
        return Done()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(clock: ManualClock) -> FakeQueue:
    return FakeQueue(clock)


@asynccontextmanager
async def running(
    queue: FakeQueue, worker: Worker, *, concurrency: int = 2, drain_seconds: float = 0.0
) -> AsyncIterator[tuple[WorkerPool, asyncio.Task[None]]]:
    options = PoolOptions(concurrency, TAKEOVER, drain_seconds)
    pool = WorkerPool(queue, worker, "me", options, queue.clock, logs.get("test"))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pool.run())
        await queue.clock.settle()
        yield pool, task
        task.cancel()


async def test_no_more_at_a_time_than_allowed_and_all_in_the_end(queue: FakeQueue) -> None:
    hands = Hands()
    queue.put("a", "b", "c", "d", "e")
    async with running(queue, hands, concurrency=2) as (pool, _):
        await queue.clock.run(5)
        assert pool.statistics() == (2, 0, 0)
        assert len(queue.waiting) == 3
        hands.go.set()
        await queue.clock.run(5)
        assert pool.statistics() == (0, 5, 0)
    assert hands.most == 2
    assert sorted(queue.done) == [b"a", b"b", b"c", b"d", b"e"]
    assert queue.left == ["me"]


async def test_what_is_to_be_tried_again_is_and_what_is_given_up_is_dead(queue: FakeQueue) -> None:
    def does(entry: Entry) -> Disposition:
        if entry.id == b"dead":
            return Dead("NO_USE")
        return Done() if entry.deliveries == 3 else Retry(4.0)

    queue.put("again", "dead")
    hands = Hands(does)
    async with running(queue, hands):
        await queue.clock.run(3.5)
        assert len(hands.begun) == 2
        await queue.clock.run(10)
    assert queue.done == [b"again"]
    assert queue.dead == [(b"dead", "NO_USE")]
    assert [entry.deliveries for entry in hands.begun if entry.id == b"again"] == [1, 2, 3]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_work_of_a_pool_that_died_is_taken_over_also_by_a_single_idle_hand(
    queue: FakeQueue, concurrency: int
) -> None:
    hands = Hands(lambda _: Done())
    for name in ("a", "b", "c", "d"):
        queue.hold(name, "somebody who died")
    async with running(queue, hands, concurrency=concurrency):
        await queue.clock.run(TAKEOVER - 2)
        assert queue.done == []
        await queue.clock.run(4)
    assert sorted(queue.done) == [b"a", b"b", b"c", b"d"]
    assert {entry.deliveries for entry in hands.begun} == {2}


async def test_a_full_pool_takes_nothing_over(queue: FakeQueue) -> None:
    queue.put("mine")
    async with running(queue, Hands(), concurrency=1) as (pool, _):
        queue.hold("theirs", "somebody who died")
        await queue.clock.run(TAKEOVER * 3)
        assert pool.statistics().working == 1
        assert queue.held[b"theirs"].entry.consumer == "somebody who died"


async def test_slow_work_is_kept_by_its_heartbeat(queue: FakeQueue) -> None:
    queue.put("slow")
    async with running(queue, Hands()) as (pool, _):
        await queue.clock.run(TAKEOVER * 4)
        assert await queue.claim_idle("another", TAKEOVER) == []
        assert pool.statistics() == (1, 0, 0)


async def test_work_that_another_pool_took_is_stopped(queue: FakeQueue) -> None:
    hands = Hands()
    queue.put("taken", "mine")
    async with running(queue, hands) as (pool, _):
        queue.hold("taken", "another")
        await queue.clock.run(TAKEOVER / 2)
        assert hands.cancelled == [b"taken"]
        assert pool.statistics() == (1, 0, 1)
        hands.go.set()
        await queue.clock.run(1)
    assert queue.done == [b"mine"]


async def test_a_pool_that_is_told_to_stop_lets_work_finish_and_takes_nothing_new(queue: FakeQueue) -> None:
    hands = Hands()
    queue.put("a", "b")
    async with running(queue, hands, drain_seconds=30) as (_, task):
        task.cancel()
        await queue.clock.settle()
        queue.put("c")
        # Longer than the takeover: nobody else may get the work while it finishes.
        await queue.clock.run(TAKEOVER * 2)
        assert await queue.claim_idle("another", TAKEOVER) == []
        assert not task.done()
        hands.go.set()
        await queue.clock.settle()
    assert sorted(queue.done) == [b"a", b"b"]
    assert [entry.id for entry in queue.waiting] == [b"c"]
    assert queue.left == ["me"]


async def test_work_that_does_not_finish_in_time_is_left_to_others(queue: FakeQueue) -> None:
    hands = Hands()
    queue.put("a")
    async with running(queue, hands, drain_seconds=0.01) as (_, task):
        task.cancel()
        await asyncio.wait([task], timeout=5)
    assert hands.cancelled == [b"a"]
    assert queue.done == []
    assert queue.left == ["me"]


async def test_a_store_that_is_away_is_waited_for(queue: FakeQueue) -> None:
    hands = Hands()
    queue.put("a")
    async with running(queue, hands) as (_, task):
        queue.down = True
        await queue.clock.run(TAKEOVER)
        assert not task.done()
        hands.go.set()  # finishes, but cannot say so
        await queue.clock.run(5)
        queue.down = False
        queue.put("b")
        await queue.clock.run(3)
        assert queue.done == [b"b"]
        await queue.clock.run(TAKEOVER + 2)
    assert queue.done == [b"b", b"a"]


async def test_work_in_hand_during_an_outage_is_not_taken_from_those_who_do_it(queue: FakeQueue) -> None:
    hands = Hands()
    idle = Hands()
    queue.put("a")
    async with running(queue, hands, concurrency=1) as (pool, _):
        other = WorkerPool(queue, idle, "idle one", PoolOptions(1, TAKEOVER, 0.0), queue.clock, logs.get("test"))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(other.run())
            await queue.clock.run(2)
            queue.down = True
            await queue.clock.run(TAKEOVER * 2)
            queue.down = False
            await queue.clock.run(TAKEOVER * 2)
            assert pool.statistics() == (1, 0, 0)
            task.cancel()
    assert idle.begun == []


async def test_a_pool_stops_even_if_its_queue_swallows_the_cancellation(queue: FakeQueue) -> None:
    class Deaf(FakeQueue):
        async def read(self, consumer: str, count: int = 1, block_seconds: float = 0.0) -> list[Entry]:
            try:
                return await super().read(consumer, count, block_seconds)
            except asyncio.CancelledError:
                return []

    deaf = Deaf(queue.clock)
    async with running(deaf, Hands()) as (_, task):
        task.cancel()
        await queue.clock.settle()
        assert task.done()
    assert deaf.left == ["me"]


async def test_a_store_that_is_away_does_not_keep_a_pool_from_stopping(queue: FakeQueue) -> None:
    async with running(queue, Hands()) as (_, task):
        queue.down = True
        task.cancel()
        await queue.clock.settle()
        assert task.done()


@pytest.mark.parametrize("error", [MeshError(Reason.STORE_UNAVAILABLE), KeyError("bug")])
async def test_work_that_fails_is_tried_again_after_the_takeover(queue: FakeQueue, error: Exception) -> None:
    def does(entry: Entry) -> Disposition:
        if entry.deliveries == 1 and entry.id == b"bad":
            raise error
        return Done()

    queue.put("bad", "good")
    async with running(queue, Hands(does)):
        await queue.clock.run(3)
        assert queue.done == [b"good"]
        await queue.clock.run(TAKEOVER)
    assert queue.done == [b"good", b"bad"]


async def test_consumers_that_are_gone_are_forgotten_now_and_then(queue: FakeQueue) -> None:
    async with running(queue, Hands()):
        await queue.clock.run(90)
    assert queue.pruned == 2


@pytest.mark.parametrize("wrong", [(0, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, -1.0)])
def test_options_that_make_no_sense_are_refused(wrong: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="pool options"):
        PoolOptions(*wrong)
