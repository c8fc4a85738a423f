import asyncio
from pathlib import Path

import pytest

from libs.core.errors import MeshError, Reason
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from libs.store.streams import QueueLimits, StreamQueue

KEY = "test:{jobs}:queue"


@pytest.fixture
def queue(store: Store) -> StreamQueue:
    return StreamQueue(store, KEY)


async def _idle(store: Store, entry_id: bytes, consumer: str, seconds: int) -> None:
    """Pretend that `consumer` has given no sign for that long."""
    await store.execute("XCLAIM", KEY, "workers", consumer, 0, entry_id, "IDLE", seconds * 1000, "JUSTID")


async def test_work_enqueued_before_the_first_reader_is_read(queue: StreamQueue) -> None:
    entry_id = await queue.enqueue({"job": "j1", "blob": b"\x00\xff"})
    (entry,) = await queue.read("a")
    assert (entry.id, entry.origin, entry.deliveries, entry.consumer) == (entry_id, entry_id, 1, "a")
    assert dict(entry.fields) == {b"job": b"j1", b"blob": b"\x00\xff"}


async def test_an_acknowledged_entry_is_gone_and_a_second_ack_says_so(queue: StreamQueue, store: Store) -> None:
    await queue.enqueue({"job": "j1"})
    (entry,) = await queue.read("a")
    assert await queue.ack(entry.id)
    assert not await queue.ack(entry.id)
    assert await store.execute("XLEN", KEY) == 0
    assert await queue.depth() == 0


async def test_an_entry_that_nobody_was_given_cannot_be_acknowledged(queue: StreamQueue) -> None:
    entry_id = await queue.enqueue({"job": "j1"})
    assert not await queue.ack(entry_id)
    assert await queue.depth() == 1


async def test_a_waiting_reader_gets_what_comes(queue: StreamQueue) -> None:
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(queue.read("a", block_seconds=0.9))
        await queue.enqueue({"job": "j1"})
    assert [dict(entry.fields) for entry in reading.result()] == [{b"job": b"j1"}]
    assert await queue.read("a") == []
    assert await queue.read("a", block_seconds=0.01) == []


async def test_no_two_consumers_read_the_same_entry(queue: StreamQueue) -> None:
    for number in range(30):
        await queue.enqueue({"n": str(number)})
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(queue.read(f"c{number}", count=10)) for number in range(6)]
    ids = [entry.id for task in tasks for entry in task.result()]
    assert len(ids) == len(set(ids)) == 30


async def test_a_full_queue_refuses_with_a_time_to_retry(store: Store) -> None:
    queue = StreamQueue(store, KEY, limits=QueueLimits(max_depth=2, full_retry_seconds=3.0))
    await queue.enqueue({"n": "1"})
    await queue.enqueue({"n": "2"})
    (entry,) = await queue.read("a")
    await queue.delay(entry, 60)
    with pytest.raises(MeshError) as raised:
        await queue.enqueue({"n": "3"})
    assert raised.value.reason is Reason.OVERLOADED
    assert raised.value.retry_after == 3.0
    (other,) = await queue.read("a")
    await queue.ack(other.id)
    await queue.enqueue({"n": "3"})


async def test_a_heartbeat_keeps_work_from_being_claimed_and_counts_no_delivery(
    queue: StreamQueue, store: Store
) -> None:
    await queue.enqueue({"job": "long"})
    (entry,) = await queue.read("a")
    await _idle(store, entry.id, "a", 60)
    assert await queue.heartbeat("a", [entry.id]) == []
    assert await queue.claim_idle("b", 30) == []
    await _idle(store, entry.id, "a", 60)
    (claimed,) = await queue.claim_idle("b", 30)
    assert (claimed.id, claimed.deliveries, claimed.consumer) == (entry.id, 2, "b")


async def test_a_heartbeat_tells_what_was_lost(queue: StreamQueue, store: Store) -> None:
    for number in range(3):
        await queue.enqueue({"n": str(number)})
    mine, taken, done = await queue.read("a", count=3)
    await _idle(store, taken.id, "a", 60)
    await queue.claim_idle("b", 30)
    await queue.ack(done.id)
    assert await queue.heartbeat("a", [mine.id, taken.id, done.id]) == [taken.id, done.id]
    assert await queue.heartbeat("b", [taken.id]) == []
    assert await queue.heartbeat("a", []) == []


async def test_who_lost_an_entry_can_no_longer_move_it(queue: StreamQueue, store: Store) -> None:
    await queue.enqueue({"job": "j"})
    (stale,) = await queue.read("a")
    await _idle(store, stale.id, "a", 60)
    (again,) = await queue.claim_idle("a", 30)  # a later life under the same name
    assert not await queue.delay(stale, 0)
    assert await queue.dead_letter(stale, "late") is None
    assert await queue.delay(again, 0)
    assert await queue.dead_letter(again, "late") is None


async def test_claiming_leaves_out_what_the_consumer_works_on_and_forgets_what_was_deleted(
    queue: StreamQueue, store: Store
) -> None:
    for number in range(3):
        await queue.enqueue({"n": str(number)})
    working, deleted, dead = await queue.read("a", count=3)
    for entry in (working, deleted, dead):
        await _idle(store, entry.id, "a", 60)
    await store.execute("XDEL", KEY, deleted.id)
    claimed = await queue.claim_idle("a", 30, working=[working.id])
    assert [entry.id for entry in claimed] == [dead.id]
    assert (await queue.statistics()).pending == 2


async def test_claiming_pages_through_many(queue: StreamQueue) -> None:
    for number in range(250):
        await queue.enqueue({"n": str(number)})
    read = await queue.read("a", count=250)
    first = await queue.claim_idle("b", 0, count=120)
    rest = await queue.claim_idle("b", 0, count=500, working=[entry.id for entry in first])
    assert sorted(entry.id for entry in first + rest) == sorted(entry.id for entry in read)


async def test_a_delayed_entry_comes_back_when_redis_says_it_is_time(queue: StreamQueue, store: Store) -> None:
    origin = await queue.enqueue({"job": "j", "empty": ""})
    (entry,) = await queue.read("a")
    assert await queue.delay(entry, 3600)
    assert (await queue.statistics()).delayed == 1
    assert await queue.promote_due() == 0
    seconds, _ = await store.redis.time()
    due = await store.redis.zscore(f"{KEY}:delayed", origin)
    assert due is not None
    assert abs(due / 1000 - seconds - 3600) < 5
    await store.execute("ZADD", f"{KEY}:delayed", (seconds - 1) * 1000, origin)
    assert await queue.promote_due() == 1
    assert await queue.promote_due() == 0
    (again,) = await queue.read("b")
    assert (again.origin, again.deliveries) == (origin, 2)
    assert again.fields == entry.fields
    assert not await store.execute("EXISTS", f"{KEY}:held", f"{KEY}:delayed")


async def test_deliveries_add_up_over_retries_and_claims(queue: StreamQueue) -> None:
    origin = await queue.enqueue({"job": "poison"})
    for attempt in (1, 3, 5):
        (entry,) = await queue.read("a")
        assert entry.deliveries == attempt
        (entry,) = await queue.claim_idle("b", 0)
        assert entry.deliveries == attempt + 1
        assert await queue.delay(entry, 0)
        assert await queue.promote_due() == 1
    (entry,) = await queue.read("a")
    assert (entry.origin, entry.deliveries) == (origin, 7)


async def test_a_dead_letter_tells_its_story_and_can_be_replayed(queue: StreamQueue) -> None:
    origin = await queue.enqueue({"job": "poison"})
    (entry,) = await queue.read("a")
    letter_id = await queue.dead_letter(entry, "bad input: ü")
    assert letter_id is not None
    (letter,) = await queue.dead_letters()
    assert (letter.id, letter.origin, letter.deliveries) == (letter_id, origin, 1)
    assert letter.reason == "bad input: ü"
    assert dict(letter.fields) == {b"job": b"poison"}
    assert await queue.depth() == 0
    assert await queue.replay(letter_id) is not None
    assert await queue.replay(letter_id) is None
    assert await queue.dead_letters() == []
    (again,) = await queue.read("a")
    assert (again.origin, again.deliveries, dict(again.fields)) == (origin, 1, {b"job": b"poison"})


async def test_dead_letters_are_capped_and_listed_newest_first_in_pages(store: Store) -> None:
    queue = StreamQueue(store, KEY, limits=QueueLimits(max_dead=3))
    for number in range(5):
        await queue.enqueue({"n": str(number)})
    for entry in await queue.read("a", count=5):
        await queue.dead_letter(entry, "no")
    page = await queue.dead_letters(count=2)
    rest = await queue.dead_letters(count=2, before=page[-1].id)
    assert [letter.fields[b"n"] for letter in page + rest] == [b"4", b"3", b"2"]


async def test_a_replay_into_a_full_queue_is_refused_and_loses_nothing(store: Store) -> None:
    queue = StreamQueue(store, KEY, limits=QueueLimits(max_depth=1))
    await queue.enqueue({"n": "1"})
    (entry,) = await queue.read("a")
    letter_id = await queue.dead_letter(entry, "no")
    assert letter_id is not None
    await queue.enqueue({"n": "2"})
    with pytest.raises(MeshError, match="OVERLOADED"):
        await queue.replay(letter_id)
    assert (await queue.statistics()).dead == 1


async def test_a_consumer_that_leaves_hands_its_work_back_at_once(queue: StreamQueue, store: Store) -> None:
    await queue.enqueue({"n": "1"})
    (entry,) = await queue.read("a")
    assert await queue.leave("a") == 1
    (claimed,) = await queue.claim_idle("b", 3600)
    assert (claimed.id, claimed.consumer) == (entry.id, "b")
    assert await queue.leave("a") == 0
    consumers = await store.redis.xinfo_consumers(KEY, "workers")
    assert [consumer["name"] for consumer in consumers] == [b"b"]


async def test_only_consumers_without_work_are_pruned(queue: StreamQueue, store: Store) -> None:
    await queue.enqueue({"n": "1"})
    await queue.read("busy")
    await queue.enqueue({"n": "2"})
    (entry,) = await queue.read("free")
    await queue.ack(entry.id)
    assert await queue.prune_consumers(3600) == 0
    assert await queue.prune_consumers(0) == 1
    consumers = await store.redis.xinfo_consumers(KEY, "workers")
    assert [consumer["name"] for consumer in consumers] == [b"busy"]


async def test_a_queue_that_does_not_exist_yet_is_empty(queue: StreamQueue) -> None:
    statistics = await queue.statistics()
    assert (statistics.depth, statistics.dead, statistics.oldest_seconds) == (0, 0, 0.0)
    assert await queue.claim_idle("a", 0) == []
    assert await queue.heartbeat("a", [b"1-0"]) == [b"1-0"]
    assert await queue.leave("a") == 0
    assert await queue.prune_consumers(0) == 0
    assert await queue.promote_due() == 0
    assert await queue.read("a") == []


async def test_it_goes_on_after_all_data_was_lost(queue: StreamQueue, redis: EmbeddedRedis) -> None:
    await queue.enqueue({"n": "1"})
    await queue.read("a")
    redis.flush()
    await queue.enqueue({"n": "2"})
    assert [entry.fields[b"n"] for entry in await queue.read("a")] == [b"2"]


async def test_a_waiting_reader_survives_the_loss_of_all_data(queue: StreamQueue, redis: EmbeddedRedis) -> None:
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(queue.read("a", block_seconds=0.5))
        await asyncio.wait([reading], timeout=0.1)
        redis.flush()
    assert reading.result() == []
    await queue.enqueue({"n": "1"})
    assert len(await queue.read("a", block_seconds=0.5)) == 1


async def test_statistics_count_every_place_at_once(queue: StreamQueue) -> None:
    for number in range(4):
        await queue.enqueue({"n": str(number)})
    first, second, _ = await queue.read("a", count=3)
    await queue.delay(first, 60)
    await queue.dead_letter(second, "no")
    statistics = await queue.statistics()
    assert (statistics.waiting, statistics.pending, statistics.delayed, statistics.dead) == (1, 1, 1, 1)
    assert statistics.depth == await queue.depth() == 3
    assert 0 <= statistics.oldest_seconds < 60


async def test_a_full_redis_refuses_new_work_moves_nothing_half_and_can_be_drained(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, options={"maxmemory-policy": "noeviction"}) as redis:
        async with connect(redis.url) as store:
            queue = StreamQueue(store, KEY)
            for number in range(5):
                await queue.enqueue({"n": str(number)})
            await store.execute("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(MeshError) as raised:
                await queue.enqueue({"n": "5"})
            assert raised.value.reason is Reason.STORE_UNAVAILABLE
            entries = await queue.read("a", count=10)
            for move in (queue.delay(entries[0], 1), queue.dead_letter(entries[0], "no")):
                with pytest.raises(MeshError, match="STORE_UNAVAILABLE"):
                    await move
            assert await queue.heartbeat("a", [entry.id for entry in entries]) == []
            assert await queue.depth() == 5
            claimed = await queue.claim_idle("b", 0)
            assert all([await queue.ack(entry.id) for entry in claimed])
            assert await queue.depth() == 0
            await store.execute("CONFIG", "SET", "maxmemory", "0")
            assert await queue.enqueue({"n": "1"})


async def test_entries_survive_the_store_being_killed(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, options={"appendfsync": "always"}) as redis:
        async with connect(redis.url) as store:
            queue = StreamQueue(store, KEY)
            acknowledged = {await queue.enqueue({"n": str(number)}) for number in range(20)}
            held = await queue.read("a", count=5)
            redis.kill()
            with pytest.raises(MeshError, match="STORE_UNAVAILABLE"):
                await queue.read("b")
            redis.start()
            assert await queue.heartbeat("a", [entry.id for entry in held]) == []
            rest = await queue.read("b", count=100)
            assert {entry.id for entry in held} | {entry.id for entry in rest} == acknowledged


def test_a_key_without_a_hash_tag_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="hash tag"):
        StreamQueue(store, "jobs")
    with pytest.raises(ValueError, match="hash tag"):
        StreamQueue(store, "jobs:{}")
