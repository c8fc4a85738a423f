"""What jobs need from outside."""

from typing import Protocol

from services.conversation.jobs import Job
from services.conversation.turn import Owner


class JobStore(Protocol):
    """The records of jobs, and the queue that tells workers about them."""

    async def submit(self, job: Job) -> Job:
        """Keep a new job and queue it, or return (and make sure it is queued) what its request_id made before.

        Raises:
            MeshError: OVERLOADED when too many wait; REQUEST_ID_REUSED; STORE_UNAVAILABLE.
        """
        ...

    async def get(self, owner: Owner, job_id: str) -> Job | None:
        """The job, or None if the owner has none of that id."""
        ...

    async def replace(self, job: Job) -> bool:
        """Keep the job's next revision. False if it has changed meanwhile: read it and decide anew."""
        ...
