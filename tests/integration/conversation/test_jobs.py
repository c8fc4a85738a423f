"""Jobs, their queue and the outbox on a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from libs.core.clock import SystemClock
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from libs.core.rng import new_rng
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from libs.store.entries import Entry, Name
from libs.store.streams import QueueLimits, StreamQueue
from libs.store.worker import Dead, Disposition, Done, PoolOptions, Worker, WorkerPool
from libs.telemetry import logs
from libs.telemetry.metrics import Metrics
from services.conversation.accounting import AccountedTurns
from services.conversation.adapters import keys
from services.conversation.adapters.jobs import JobWorker, RedisJobStore
from services.conversation.job_runner import JobRunner
from services.conversation.jobs import Job, JobError, JobState, RetryPolicy
from services.conversation.turn import Answer, Message, Options, Owner, Report, Role, Tier
from tests.integration.conversation.durability import every_write_counts
from tests.integration.store.losses import lost
from tests.unit.conversation.fakes import FakeUsages
from tests.unit.conversation.world import World

OWNER = Owner("tenant-one", "ada:{}")
CONVERSATION = "cnv_" + "0" * 26
REQUEST_ID = "11111111-1111-4111-8111-111111111111"
OPTIONS = Options(Tier.DEEP, "model-a", 7, bypass_cache=True)
ANSWER = Answer(Message("msg_1", Role.ASSISTANT, "Hello", 1_700_000_000.5, REQUEST_ID), Report(model="model-a"))


def job(job_id: str = "job_1", content: str = "Hi?") -> Job:
    return Job(job_id, OWNER, CONVERSATION, REQUEST_ID, content, OPTIONS, create_time=1_700_000_000.25)


@pytest.fixture
def queue(store: Store) -> StreamQueue:
    return StreamQueue(store, keys.JOB_QUEUE)


@pytest.fixture
def jobs(store: Store, queue: StreamQueue) -> RedisJobStore:
    return RedisJobStore(store, queue, result_ttl_seconds=60.0)


async def life(store: Store, key: str) -> int:
    """Milliseconds; -1 is for ever."""
    return int(str(await store.execute("PTTL", key)))


async def test_a_submitted_job_is_kept_and_queued_once(jobs: RedisJobStore, queue: StreamQueue, store: Store) -> None:
    assert await jobs.submit(job()) == job()
    assert await jobs.submit(job("job_2")) == job()
    assert await jobs.get(OWNER, "job_1") == job()
    assert await jobs.get(OWNER, "job_2") is None
    assert await jobs.get(Owner(OWNER.tenant_id, "eve"), "job_1") is None
    assert await queue.depth() == 1
    (entry,) = await queue.read("worker")
    assert entry.fields == {b"tenant": b"tenant-one", b"user": b"ada:{}", b"job": b"job_1"}
    assert await life(store, keys.job(OWNER, "job_1")) == -1
    assert await life(store, keys.submitted(OWNER, REQUEST_ID)) == -1


async def test_the_id_of_another_submission_is_refused(jobs: RedisJobStore) -> None:
    await jobs.submit(job())
    with pytest.raises(MeshError) as raised:
        await jobs.submit(job("job_2", "Something else?"))
    assert raised.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_submission_that_was_cut_off_is_queued_by_its_retry(store: Store, queue: StreamQueue) -> None:
    full = StreamQueue(store, keys.JOB_QUEUE, limits=QueueLimits(max_depth=1))
    await full.enqueue({"other": "work"})
    for _ in range(2):
        with pytest.raises(MeshError) as raised:
            await RedisJobStore(store, full, result_ttl_seconds=60.0).submit(job())
        assert raised.value.reason is Reason.OVERLOADED
    # What was refused does not fill the store for ever.
    assert await life(store, keys.job(OWNER, "job_1")) > 0
    assert await life(store, keys.submitted(OWNER, REQUEST_ID)) > 0
    assert await RedisJobStore(store, queue, result_ttl_seconds=60.0).submit(job("job_2")) == job()
    assert await queue.depth() == 2
    assert await life(store, keys.job(OWNER, "job_1")) == -1


async def test_only_the_next_revision_replaces_a_job(jobs: RedisJobStore, store: Store) -> None:
    await jobs.submit(job())
    running = job().started(1_700_000_001.0)
    assert await jobs.replace(running)
    assert await jobs.replace(running)  # sent twice
    assert not await jobs.replace(job().cancelled(1_700_000_002.0))
    assert await jobs.get(OWNER, "job_1") == running
    assert await life(store, keys.job(OWNER, "job_1")) == -1
    done = running.succeeded(ANSWER, 1_700_000_003.0)
    assert await jobs.replace(done)
    assert await jobs.get(OWNER, "job_1") == done
    assert 0 < await life(store, keys.job(OWNER, "job_1")) <= 60_000
    assert not await jobs.replace(job("job_9").started(1.0))


async def test_a_job_that_ends_before_its_submission_does_is_not_kept_for_ever(
    store: Store, queue: StreamQueue
) -> None:
    class Quick(StreamQueue):
        async def enqueue(self, fields: Mapping[Name, bytes | str]) -> bytes:
            entry_id = await super().enqueue(fields)
            assert await plain.replace(job().cancelled(2.0))
            return entry_id

    plain = RedisJobStore(store, queue, result_ttl_seconds=60.0)
    await RedisJobStore(store, Quick(store, keys.JOB_QUEUE), result_ttl_seconds=60.0).submit(job())
    assert 0 < await life(store, keys.job(OWNER, "job_1")) <= 60_000


async def test_errors_and_states_come_back_as_they_were_kept(jobs: RedisJobStore) -> None:
    await jobs.submit(job())
    running = job().started(1.0)
    failed = running.failed_try(JobError("MODEL_UNAVAILABLE", "No model could answer."))
    assert await jobs.replace(running)
    assert await jobs.replace(failed)
    assert await jobs.get(OWNER, "job_1") == failed
    assert failed.state is JobState.RETRYING


async def test_a_killed_store_is_unavailable_and_then_itself_again(
    jobs: RedisJobStore, redis: EmbeddedRedis, store: Store
) -> None:
    await every_write_counts(store)
    await jobs.submit(job())
    redis.kill()
    for attempt in (jobs.submit(job()), jobs.get(OWNER, "job_1"), jobs.replace(job().started(1.0))):
        with pytest.raises(MeshError) as raised:
            await attempt
        assert raised.value.reason is Reason.STORE_UNAVAILABLE
    redis.restart()
    await lost(store)
    assert await jobs.get(OWNER, "job_1") == job()


@pytest.mark.parametrize(
    "fields", [{b"other": b"work"}, {b"tenant": b"\xff", b"user": b"ada", b"job": b"job_1"}, {b"tenant": b"t"}]
)
async def test_what_is_no_job_is_set_aside(jobs: RedisJobStore, fields: dict[bytes, bytes]) -> None:
    assert await working(jobs).work(Entry(b"1-0", b"1-0", fields, 1, "me")) == Dead("malformed")


@pytest.mark.parametrize("field", ["job", "request"])
@pytest.mark.parametrize("garbage", [b"\xff\xff", None])
async def test_a_job_whose_record_cannot_be_read_is_set_aside(
    jobs: RedisJobStore, queue: StreamQueue, store: Store, field: str, garbage: bytes | None
) -> None:
    await jobs.submit(job())
    if garbage is None:
        await store.execute("HDEL", keys.job(OWNER, "job_1"), field)
    else:
        await store.execute("HSET", keys.job(OWNER, "job_1"), field, garbage)
    (entry,) = await queue.read("me")
    outcome = await working(jobs).work(entry)
    # Without a record there is nothing to do; anything else somebody has to look at.
    assert outcome == (Done() if (field, garbage) == ("job", None) else Dead("malformed"))


def working(jobs: RedisJobStore) -> JobWorker:
    """A worker that gets no further than the job's record."""
    clock = SystemClock()
    world = World()
    runner = JobRunner(
        jobs,
        AccountedTurns(world.runner(), FakeUsages(), clock),
        nobody,
        RetryPolicy(3, 0.01, 0.01),
        attempt_timeout=5.0,
        clock=clock,
        rng=new_rng(1),
    )
    return JobWorker(runner, Metrics("conversation"))


@asynccontextmanager
async def nobody(owner: Owner, deadline: Deadline) -> AsyncIterator[None]:
    raise MeshError(Reason.INTERNAL)
    yield


class Hands(Worker):
    """Keeps what it is given until it may finish."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Entry] = asyncio.Queue()
        self.go = asyncio.Event()

    async def work(self, entry: Entry) -> Disposition:
        self.begun.put_nowait(entry)
        await self.go.wait()
        return Done()


@asynccontextmanager
async def pool(queue: StreamQueue, hands: Hands, name: str) -> AsyncIterator[asyncio.Task[None]]:
    options = PoolOptions(1, takeover_seconds=0.3, drain_seconds=0.0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(WorkerPool(queue, hands, name, options, SystemClock(), logs.get("test")).run())
        yield task
        task.cancel()


async def test_the_work_of_a_process_that_died_goes_to_another(
    redis: EmbeddedRedis, store: Store, queue: StreamQueue
) -> None:
    dying, living = Hands(), Hands()
    origin = await queue.enqueue({"job": "job_1"})
    async with asyncio.timeout(6):
        async with connect(redis.url) as gone, pool(StreamQueue(gone, keys.JOB_QUEUE), dying, "dying") as first:
            await dying.begun.get()
            # Its connection goes first, as when a process is killed: it can neither beat nor leave.
            await gone.close()
            first.cancel()
        async with pool(queue, living, "living"):
            taken = await living.begun.get()
            living.go.set()
            while (await queue.statistics()).depth:
                await SystemClock().sleep(0.02)
    assert (taken.origin, taken.deliveries) == (origin, 2)


async def test_the_work_of_a_process_that_was_told_to_stop_goes_to_another_at_once(
    store: Store, queue: StreamQueue
) -> None:
    stopping = Hands()
    await queue.enqueue({"job": "job_1"})
    async with asyncio.timeout(6):
        async with pool(queue, stopping, "stopping"):
            await stopping.begun.get()
        assert (await queue.statistics()).pending == 1
        assert len(await queue.claim_idle("living", 3600.0)) == 1
