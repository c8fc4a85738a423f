"""What callers do with jobs: submit, look, watch, cancel."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from libs.core.clock import Clock
from libs.core.errors import MeshError, Reason, not_found
from libs.core.ids import sortable_id
from services.conversation.conversations import Conversations
from services.conversation.job_ports import JobStore
from services.conversation.jobs import Job, JobState
from services.conversation.turn import Options, Owner

WATCH_SECONDS: Final = 590.0
"""How long one watch goes on; whoever wants to see more asks again."""
_FIRST_POLL: Final = 0.05
_SLOWEST_POLL: Final = 1.0


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A turn to queue."""

    request_id: str
    conversation_id: str
    content: str
    options: Options


class JobService:
    """The caller's side of jobs; workers are the other one."""

    def __init__(self, store: JobStore, conversations: Conversations, clock: Clock) -> None:
        self._store: Final = store
        self._conversations: Final = conversations
        self._clock: Final = clock

    async def submit(self, owner: Owner, request: JobRequest) -> Job:
        """Queue a turn; the conversation must exist."""
        await self._conversations.get(owner, request.conversation_id)
        return await self._store.submit(
            Job(
                job_id=sortable_id("job", self._clock),
                owner=owner,
                conversation_id=request.conversation_id,
                request_id=request.request_id,
                content=request.content,
                options=request.options,
                create_time=self._clock.time(),
            )
        )

    async def get(self, owner: Owner, job_id: str) -> Job:
        """The job, or NOT_FOUND."""
        job = await self._store.get(owner, job_id)
        if job is None:
            raise not_found("job")
        return job

    async def watch(self, owner: Owner, job_id: str, after_revision: int) -> AsyncGenerator[Job, None]:
        """The job whenever it has a revision the caller has not seen, until it has finished or time is up."""
        # Polling holds no connection while nothing happens, and a lost notification costs nothing.
        seen, pause = after_revision, _FIRST_POLL
        end = self._clock.monotonic() + WATCH_SECONDS
        while True:
            job = await self.get(owner, job_id)
            if job.revision > seen:
                seen, pause = job.revision, _FIRST_POLL
                yield job
            if job.state.finished or self._clock.monotonic() >= end:
                return
            await self._clock.sleep(pause)
            pause = min(pause * 1.5, _SLOWEST_POLL)

    async def cancel(self, owner: Owner, job_id: str) -> Job:
        """Cancel it, also while a worker is on it; JOB_FINISHED if it is too late. Cancelling twice is fine."""
        while True:
            job = await self.get(owner, job_id)
            cancelled = job
            if not job.state.finished:
                cancelled = job.cancelled(self._clock.time())
                if not await self._store.replace(cancelled):
                    continue
            if cancelled.state is not JobState.CANCELLED:
                raise MeshError(Reason.JOB_FINISHED)
            return cancelled
