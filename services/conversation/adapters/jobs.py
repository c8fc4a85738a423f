"""Jobs in Redis: a hash each under their owner's tag, and one stream that tells workers about them."""

from hashlib import blake2b
from typing import Final

from agentmesh.conversation.v1 import job_pb2
from libs.core.errors import MeshError, Reason
from libs.store.connection import Store
from libs.store.entries import Entry
from libs.store.replies import array, blob, blobs, integer
from libs.store.script import Script, load
from libs.store.streams import StreamQueue
from libs.store.worker import Dead, Disposition, Done, Retry
from libs.telemetry import catalogue
from libs.telemetry.metrics import Metrics
from services.conversation.adapters import keys
from services.conversation.adapters.parsing import MALFORMED, MalformedError, parsing
from services.conversation.convert import job_domain, job_proto, submission
from services.conversation.job_ports import JobStore
from services.conversation.job_runner import Finished, GivenUp, JobRunner, TryAgain, TryOutcome
from services.conversation.jobs import Job
from services.conversation.turn import Owner

_MS: Final = 1000
# Long enough for the retries of a submission that was cut off.
_UNQUEUED_TTL_MS: Final = 3_600_000


class RedisJobStore(JobStore):
    """Implements the port.

    The record comes first, the queue entry second: a submission that dies in between was never acknowledged, and its
    retry finds the record and queues it.
    """

    def __init__(self, store: Store, queue: StreamQueue, *, result_ttl_seconds: float) -> None:
        self._store: Final = store
        self._queue: Final = queue
        self._put: Final = Script(store, load(__package__, "put_job.lua"), idempotent=True)
        self._replace: Final = Script(store, load(__package__, "replace_job.lua"), idempotent=True)
        self._queued: Final = Script(store, load(__package__, "queued_job.lua"), idempotent=True)
        self._ttl_ms: Final = int(result_ttl_seconds * _MS)

    async def submit(self, job: Job) -> Job:
        """Keep and queue a new job, or return what its request_id made before."""
        asked = submission(job).SerializeToString(deterministic=True)
        asked_digest = blake2b(asked, digest_size=16).hexdigest()
        marker = keys.submitted(job.owner, job.request_id)
        reply = await self._put(
            keys=[keys.job(job.owner, job.job_id), marker],
            args=[job.job_id, _encode(job), asked_digest, asked, _UNQUEUED_TTL_MS],
        )
        *made, queued = array(reply)
        job_id, standing = blobs(made)
        if standing.decode() != asked_digest:
            raise MeshError(Reason.REQUEST_ID_REUSED)
        if queued is None:
            await self._queue.enqueue(
                {"tenant": job.owner.tenant_id, "user": job.owner.user_id, "job": job_id.decode()}
            )
            await self._queued(keys=[keys.job(job.owner, job_id.decode()), marker])
        if job_id.decode() == job.job_id:
            return job
        found = await self.get(job.owner, job_id.decode())
        if found is None:
            raise MeshError(Reason.REQUEST_ID_REUSED, "The job of this request_id has expired.")
        return found

    async def get(self, owner: Owner, job_id: str) -> Job | None:
        """The job, or None."""
        job, asked = array(await self._store.execute("HMGET", keys.job(owner, job_id), "job", "request"))
        if job is None:
            return None
        if asked is None:
            raise MalformedError("job")
        with parsing("job"):
            return job_domain(
                owner, job_pb2.Job.FromString(blob(job)), job_pb2.SubmitJobRequest.FromString(blob(asked))
            )

    async def replace(self, job: Job) -> bool:
        """Keep the job's next revision, if nobody else did."""
        life = self._ttl_ms if job.state.finished else 0
        reply = await self._replace(
            keys=[keys.job(job.owner, job.job_id), keys.submitted(job.owner, job.request_id)],
            args=[_encode(job), job.revision, life],
        )
        return integer(reply) == 1


class JobWorker:
    """Feeds queue entries to the job runner."""

    def __init__(self, runner: JobRunner, metrics: Metrics) -> None:
        self._runner: Final = runner
        self._in_flight: Final = metrics.gauge(catalogue.JOBS_IN_FLIGHT)
        self._finished: Final = metrics.counter(catalogue.JOBS_FINISHED)
        self._retries: Final = metrics.counter(catalogue.JOBS_RETRIES)
        self._dead: Final = metrics.counter(catalogue.JOBS_DEAD_LETTERS)

    async def work(self, entry: Entry) -> Disposition:
        """One try of one job."""
        try:
            with self._in_flight.track_inprogress():
                outcome = await self._try(entry)
        except MalformedError:
            # Left in the queue it would be handed out for ever.
            outcome = GivenUp(MALFORMED)
        match outcome:
            case Finished(job):
                self._finished.labels(job.state.name.lower() if job else "expired").inc()
                return Done()
            case TryAgain(seconds):
                self._retries.inc()
                return Retry(seconds)
            case _:
                self._finished.labels("failed").inc()
                self._dead.inc()
                return Dead(outcome.reason)

    async def _try(self, entry: Entry) -> TryOutcome:
        with parsing("queue entry"):
            owner = Owner(entry.fields[b"tenant"].decode(), entry.fields[b"user"].decode())
            job_id = entry.fields[b"job"].decode()
        # The runner looks at the deliveries before it does anything, and says in the job that it was given up.
        return await self._runner.run(owner, job_id, entry.deliveries)


def _encode(job: Job) -> bytes:
    return job_proto(job).SerializeToString()
