"""The worker's side of jobs: one try of one job, and what comes of it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Final

from libs.core.clock import Clock
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from libs.core.rng import Rng
from services.conversation.accounting import AccountedTurns
from services.conversation.job_ports import JobStore
from services.conversation.jobs import TOO_MANY_DELIVERIES, Job, JobState, RetryPolicy, job_error, retry_delay
from services.conversation.turn import Answer, Owner, TurnRequest

_CANCEL_POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Finished:
    """There is nothing left to do."""

    job: Job | None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """After so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """For the dead letters."""

    reason: str


TryOutcome = Finished | TryAgain | GivenUp
ActingFor = Callable[[Owner, Deadline], AbstractAsyncContextManager[None]]
"""Inside the block the current request context acts for an owner; entering raises MeshError while auth is away."""


class _JobCancelledError(Exception):
    """The caller cancelled the job while it ran."""


class JobRunner:
    """Runs tries. Safe to run twice for one job: the turn's request_id makes the effects happen once."""

    def __init__(
        self,
        store: JobStore,
        turns: AccountedTurns,
        acting_for: ActingFor,
        policy: RetryPolicy,
        *,
        attempt_timeout: float,
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._store: Final = store
        self._turns: Final = turns
        self._acting_for: Final = acting_for
        self._policy: Final = policy
        self._attempt_timeout: Final = attempt_timeout
        self._clock: Final = clock
        self._rng: Final = rng

    async def run(self, owner: Owner, job_id: str, deliveries: int) -> TryOutcome:
        """One try.

        Args:
            owner: whose job.
            job_id: which.
            deliveries: how often the job was handed to a worker, this time included; more than the policy's
                attempts means that it kills them.

        Raises:
            MeshError: the store cannot be reached; nothing is known to have changed.
        """
        job = await self._store.get(owner, job_id)
        if job is None or job.state.finished:
            return Finished(job)
        if deliveries > self._policy.max_attempts:
            return await self._give_up(job, job.given_up(TOO_MANY_DELIVERIES, self._clock.time()))
        running = job.started(self._clock.time())
        if not await self._store.replace(running):
            return TryAgain(0.0)
        try:
            answer = await self._turn(running)
        except _JobCancelledError:
            return Finished(await self._store.get(owner, job_id))
        except MeshError as error:
            return await self._after_failure(running, error)
        return await self._finish(running.succeeded(answer, self._clock.time()))

    async def _turn(self, job: Job) -> Answer:
        """The turn's answer; the job is watched meanwhile, so that cancelling it stops the model."""
        try:
            async with asyncio.timeout(self._attempt_timeout), asyncio.TaskGroup() as group:
                watching = group.create_task(self._raise_when_cancelled(job))
                try:
                    return await self._answer(job)
                finally:
                    watching.cancel()
        except TimeoutError:
            raise MeshError(Reason.DEADLINE_TOO_SHORT, f"A try may take {self._attempt_timeout:g} s.") from None
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None

    async def _answer(self, job: Job) -> Answer:
        deadline = Deadline.after(self._attempt_timeout, self._clock)
        request = TurnRequest(job.owner, job.conversation_id, job.request_id, job.content, job.options)
        async with self._acting_for(job.owner, deadline), aclosing(self._turns.run(request)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise MeshError(Reason.INTERNAL)

    async def _raise_when_cancelled(self, job: Job) -> None:
        while True:
            await self._clock.sleep(_CANCEL_POLL_SECONDS)
            try:
                current = await self._store.get(job.owner, job.job_id)
            except MeshError:
                # Not knowing is no reason to stop.
                continue
            if current is None or current.state is JobState.CANCELLED:
                raise _JobCancelledError

    async def _after_failure(self, job: Job, error: MeshError) -> TryOutcome:
        delay = retry_delay(self._policy, job.attempt, error, self._rng)
        if delay is None:
            return await self._give_up(job, job.given_up(job_error(error), self._clock.time()))
        if not await self._store.replace(job.failed_try(job_error(error))):
            return TryAgain(0.0)
        return TryAgain(delay)

    async def _give_up(self, before: Job, after: Job) -> TryOutcome:
        if not await self._store.replace(after):
            return TryAgain(0.0)
        return GivenUp(after.error.reason if after.error else before.state.name)

    async def _finish(self, job: Job) -> TryOutcome:
        if await self._store.replace(job):
            return Finished(job)
        # Somebody else moved it: a cancellation that came too late for the turn, or another worker's same answer.
        return Finished(await self._store.get(job.owner, job.job_id))
