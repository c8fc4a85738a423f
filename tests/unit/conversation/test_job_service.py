import asyncio

import pytest

from libs.core.errors import MeshError, Reason
from libs.testing.clock import ManualClock
from services.conversation.conversations import Conversations
from services.conversation.job_service import WATCH_SECONDS, JobRequest, JobService
from services.conversation.jobs import Job, JobError, JobState
from services.conversation.turn import Options, Owner
from tests.unit.conversation.fakes import OWNER, REQUEST_ID, FakeConversationStore, FakeHistory, FakeJobStore

STRANGER = Owner(OWNER.tenant_id, "eve")


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = FakeJobStore()
        self.conversations = Conversations(FakeConversationStore(), FakeHistory(), self.clock)
        self.service = JobService(self.store, self.conversations, self.clock)

    async def submitted(self) -> Job:
        conversation = await self.conversations.create(OWNER, REQUEST_ID, "", "")
        return await self.service.submit(OWNER, self.request(conversation.conversation_id))

    def request(self, conversation_id: str) -> JobRequest:
        return JobRequest(REQUEST_ID, conversation_id, "Hi?", Options())


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_submitting_needs_a_conversation_of_ones_own(bench: Bench) -> None:
    job = await bench.submitted()
    assert (job.state, job.revision, job.attempt) == (JobState.QUEUED, 1, 0)
    for owner, conversation_id in ((OWNER, "missing"), (STRANGER, job.conversation_id)):
        with pytest.raises(MeshError) as raised:
            await bench.service.submit(owner, bench.request(conversation_id))
        assert raised.value.reason is Reason.NOT_FOUND


async def test_another_owners_job_is_as_missing_as_none(bench: Bench) -> None:
    job = await bench.submitted()
    messages = set()
    for owner, job_id in ((OWNER, "missing"), (STRANGER, job.job_id)):
        with pytest.raises(MeshError) as raised:
            await bench.service.get(owner, job_id)
        messages.add((raised.value.reason, raised.value.message))
    assert len(messages) == 1


async def test_a_watcher_sees_every_state_that_lasts_and_then_the_end(bench: Bench) -> None:
    job = await bench.submitted()
    seen: list[JobState] = []

    async def watch() -> None:
        seen.extend([job.state async for job in bench.service.watch(OWNER, job.job_id, 0)])

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        await bench.clock.run(2)
        running = job.started(1)
        await bench.store.replace(running)
        await bench.clock.run(2)
        retrying = running.failed_try(JobError("A", "b"))
        await bench.store.replace(retrying)
        await bench.clock.run(2)
        await bench.store.replace(retrying.cancelled(3))
        await bench.clock.run(2)
    assert seen == [JobState.QUEUED, JobState.RUNNING, JobState.RETRYING, JobState.CANCELLED]


async def test_a_watch_of_a_job_that_stands_still_ends_by_itself(bench: Bench) -> None:
    job = await bench.submitted()
    seen: list[int] = []

    async def watch() -> None:
        seen.extend([job.revision async for job in bench.service.watch(OWNER, job.job_id, 0)])

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(watch())
        await bench.clock.run(WATCH_SECONDS + 2)
    assert seen == [job.revision]


async def test_a_watcher_that_comes_back_goes_on_where_it_was(bench: Bench) -> None:
    job = await bench.submitted()
    finished = job.started(1).cancelled(2)
    bench.store.jobs[OWNER, job.job_id] = finished
    assert [job.revision async for job in bench.service.watch(OWNER, job.job_id, 1)] == [3]
    assert [job.revision async for job in bench.service.watch(OWNER, job.job_id, 3)] == []


async def test_cancelling_twice_is_fine_and_too_late_is_said(bench: Bench) -> None:
    job = await bench.submitted()
    assert (await bench.service.cancel(OWNER, job.job_id)).state is JobState.CANCELLED
    assert (await bench.service.cancel(OWNER, job.job_id)).state is JobState.CANCELLED
    bench.store.jobs[OWNER, job.job_id] = job.started(1).given_up(JobError("A", "b"), 2)
    with pytest.raises(MeshError) as raised:
        await bench.service.cancel(OWNER, job.job_id)
    assert raised.value.reason is Reason.JOB_FINISHED
