"""One try of a job, and what comes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from libs.core.context import Principal, RequestContext, scope
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from libs.core.rng import new_rng
from services.conversation.accounting import AccountedTurns
from services.conversation.job_runner import Finished, GivenUp, JobRunner, TryAgain
from services.conversation.jobs import Job, JobState, RetryPolicy
from services.conversation.turn import Owner
from tests.unit.conversation.fakes import CONVERSATION, OWNER, REQUEST_ID, FakeJobStore, FakeUsages
from tests.unit.conversation.world import World

JOB = Job("job_1", OWNER, CONVERSATION, REQUEST_ID, "Hi?", create_time=1.0)
POLICY = RetryPolicy(3, 1.0, 8.0)


class Bench:
    """A job runner, its store and its world."""

    def __init__(self, attempt_timeout: float = 30.0) -> None:
        self.world = World()
        self.store = FakeJobStore()
        self.store.jobs[OWNER, JOB.job_id] = JOB
        self.usages = FakeUsages()
        self.auth_fault: MeshError | None = None
        clock = self.world.clock
        self.runner = JobRunner(
            self.store,
            AccountedTurns(self.world.runner(), self.usages, clock),
            self.acting_for,
            POLICY,
            attempt_timeout=attempt_timeout,
            clock=clock,
            rng=new_rng(1),
        )

    @asynccontextmanager
    async def acting_for(self, owner: Owner, deadline: Deadline) -> AsyncIterator[None]:
        if self.auth_fault is not None:
            raise self.auth_fault
        context = RequestContext(deadline, principal=Principal(owner.tenant_id, owner.user_id))
        with scope(context):
            yield

    @property
    def job(self) -> Job:
        return self.store.jobs[OWNER, JOB.job_id]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_job_is_answered_and_counted_like_any_turn(bench: Bench) -> None:
    outcome = await bench.runner.run(OWNER, JOB.job_id, 1)
    assert outcome == Finished(bench.job)
    assert (bench.job.state, bench.job.attempt) == (JobState.SUCCEEDED, 1)
    assert bench.job.answer is not None
    assert bench.job.answer.message.content == "Hello there"
    assert [outcome.report for outcome in bench.usages.outcomes] == [bench.job.answer.report]


async def test_a_job_given_twice_has_its_effects_once(bench: Bench) -> None:
    await bench.runner.run(OWNER, JOB.job_id, 1)
    finished = bench.job
    # The worker died before its record was kept: the record says RUNNING, the turn is done.
    bench.store.jobs[OWNER, JOB.job_id] = JOB.started(2.0)
    await bench.runner.run(OWNER, JOB.job_id, 2)
    assert bench.job.state is JobState.SUCCEEDED
    assert bench.job.answer is not None
    assert finished.answer is not None
    assert bench.job.answer.message == finished.answer.message
    assert len(bench.world.models.asked) == 1


async def test_a_finished_or_missing_job_is_left_alone(bench: Bench) -> None:
    assert await bench.runner.run(OWNER, "job_2", 1) == Finished(None)
    bench.store.jobs[OWNER, JOB.job_id] = JOB.cancelled(2.0)
    assert await bench.runner.run(OWNER, JOB.job_id, 1) == Finished(bench.job)
    assert bench.world.models.asked == []


async def test_a_passing_failure_is_tried_again_after_a_pause(bench: Bench) -> None:
    bench.world.models.fault = MeshError(Reason.MODEL_RATE_LIMITED, retry_after=7.0)
    assert await bench.runner.run(OWNER, JOB.job_id, 1) == TryAgain(7.0)
    assert bench.job.state is JobState.RETRYING
    assert bench.job.error is not None
    assert bench.job.error.reason == "MODEL_RATE_LIMITED"


async def test_auth_that_is_away_is_a_passing_failure(bench: Bench) -> None:
    bench.auth_fault = MeshError(Reason.PEER_UNAVAILABLE)
    assert isinstance(await bench.runner.run(OWNER, JOB.job_id, 1), TryAgain)
    bench.auth_fault = None
    assert isinstance(await bench.runner.run(OWNER, JOB.job_id, 2), Finished)


async def test_the_last_failure_gives_the_job_up(bench: Bench) -> None:
    bench.world.models.fault = MeshError(Reason.MODEL_UNAVAILABLE)
    outcomes = [await bench.runner.run(OWNER, JOB.job_id, delivery) for delivery in (1, 2, 3)]
    assert outcomes[2] == GivenUp("MODEL_UNAVAILABLE")
    assert (bench.job.state, bench.job.attempt) == (JobState.FAILED, 3)


async def test_what_cannot_succeed_is_given_up_at_once(bench: Bench) -> None:
    bench.world.models.fault = MeshError(Reason.UNKNOWN_MODEL)
    assert await bench.runner.run(OWNER, JOB.job_id, 1) == GivenUp("UNKNOWN_MODEL")


async def test_a_job_that_kills_its_workers_is_given_up(bench: Bench) -> None:
    assert await bench.runner.run(OWNER, JOB.job_id, POLICY.max_attempts + 1) == GivenUp("INTERNAL")
    assert bench.job.state is JobState.FAILED
    assert bench.world.models.asked == []


async def test_cancelling_stops_the_model(bench: Bench) -> None:
    bench.world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(bench.runner.run(OWNER, JOB.job_id, 1))
        await bench.world.models.writing.wait()
        assert await bench.store.replace(bench.job.cancelled(5.0))
        await bench.world.clock.run(1.0)
    assert running.result() == Finished(bench.job)
    assert bench.job.state is JobState.CANCELLED
    assert bench.world.models.closed == 1
    assert not bench.world.ledger.held()


async def test_a_cancellation_that_comes_too_late_stands(bench: Bench) -> None:
    bench.world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(bench.runner.run(OWNER, JOB.job_id, 1))
        await bench.world.models.writing.wait()
        assert await bench.store.replace(bench.job.cancelled(5.0))
        bench.world.models.gate.set()
    assert running.result() == Finished(bench.job)
    assert bench.job.state is JobState.CANCELLED


async def test_a_store_that_is_away_while_a_job_runs_does_not_stop_it(bench: Bench) -> None:
    bench.world.models.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(bench.runner.run(OWNER, JOB.job_id, 1))
        await bench.world.models.writing.wait()
        bench.store.fault = MeshError(Reason.STORE_UNAVAILABLE)
        await bench.world.clock.run(2.0)
        bench.store.fault = None
        bench.world.models.gate.set()
    assert isinstance(running.result(), Finished)
    assert bench.job.state is JobState.SUCCEEDED


async def test_a_try_has_a_time_limit() -> None:
    bench = Bench(attempt_timeout=0.02)
    bench.world.models.gate = asyncio.Event()
    assert isinstance(await bench.runner.run(OWNER, JOB.job_id, 1), TryAgain)
    assert bench.job.error is not None
    assert bench.job.error.reason == "DEADLINE_TOO_SHORT"
    assert bench.world.models.closed == 1


async def test_a_job_that_somebody_else_moved_is_looked_at_again(bench: Bench) -> None:
    class Raced(FakeJobStore):
        async def get(self, owner: Owner, job_id: str) -> Job | None:
            standing = await super().get(owner, job_id)
            return None if standing is None else replace(standing, revision=standing.revision - 1)

    raced = Raced()
    raced.jobs = bench.store.jobs
    clock = bench.world.clock
    turns = AccountedTurns(bench.world.runner(), bench.usages, clock)
    runner = JobRunner(raced, turns, bench.acting_for, POLICY, attempt_timeout=30, clock=clock, rng=new_rng(1))
    assert await runner.run(OWNER, JOB.job_id, 1) == TryAgain(0.0)
