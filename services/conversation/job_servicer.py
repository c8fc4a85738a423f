"""JobService: contract <-> domain, no decisions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from agentmesh.conversation.v1 import job_pb2 as pb
from agentmesh.conversation.v1.job_pb2_grpc import JobServiceServicer
from services.conversation.convert import job_proto, options
from services.conversation.job_service import JobRequest, JobService
from services.conversation.servicer import owner


class JobServicer(JobServiceServicer):
    """Serves jobs."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs: Final = jobs

    async def SubmitJob(self, request: pb.SubmitJobRequest, context: object) -> pb.SubmitJobResponse:
        """Queue a turn."""
        asked = JobRequest(request.request_id, request.conversation_id, request.content, options(request.options))
        return pb.SubmitJobResponse(job=job_proto(await self._jobs.submit(owner(), asked)))

    async def GetJob(self, request: pb.GetJobRequest, context: object) -> pb.GetJobResponse:
        """One job."""
        return pb.GetJobResponse(job=job_proto(await self._jobs.get(owner(), request.job_id)))

    async def WatchJob(self, request: pb.WatchJobRequest, context: object) -> AsyncGenerator[pb.WatchJobResponse, None]:
        """One job, at each change."""
        async with aclosing(self._jobs.watch(owner(), request.job_id, request.after_revision)) as changes:
            async for job in changes:
                yield pb.WatchJobResponse(job=job_proto(job))

    async def CancelJob(self, request: pb.CancelJobRequest, context: object) -> pb.CancelJobResponse:
        """Stop a job."""
        return pb.CancelJobResponse(job=job_proto(await self._jobs.cancel(owner(), request.job_id)))
