"""The life of a job, and what happens after a failed try. Pure: states go in, states come out."""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from libs.core.errors import MeshError, Reason
from libs.core.rng import Rng
from services.conversation.dependencies import MAY_PASS
from services.conversation.turn import Answer, Options, Owner


class JobState(IntEnum):
    """Where a job is in its life; the numbers are those of the contract."""

    QUEUED = 1
    RUNNING = 2
    RETRYING = 3
    SUCCEEDED = 4
    FAILED = 5
    CANCELLED = 6

    @property
    def finished(self) -> bool:
        """Whether nothing will happen any more."""
        return self >= JobState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a try failed."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """A turn as a job; times in Unix seconds, 0 before they come."""

    job_id: str
    owner: Owner
    conversation_id: str
    request_id: str
    content: str
    options: Options = field(default_factory=Options)
    state: JobState = JobState.QUEUED
    revision: int = 1
    attempt: int = 0
    create_time: float = 0.0
    start_time: float = 0.0
    finish_time: float = 0.0
    answer: Answer | None = None
    error: JobError | None = None

    def started(self, now: float) -> "Job":
        """A worker begins a try."""
        return self._next(JobState.RUNNING, attempt=self.attempt + 1, start_time=self.start_time or now)

    def succeeded(self, answer: Answer, now: float) -> "Job":
        """The turn is done."""
        return self._next(JobState.SUCCEEDED, answer=answer, error=None, finish_time=now)

    def failed_try(self, error: JobError) -> "Job":
        """A try failed; there will be another."""
        return self._next(JobState.RETRYING, error=error)

    def given_up(self, error: JobError, now: float) -> "Job":
        """The last try failed."""
        return self._next(JobState.FAILED, error=error, finish_time=now)

    def cancelled(self, now: float) -> "Job":
        """The caller does not want it any more."""
        return self._next(JobState.CANCELLED, finish_time=now)

    def _next(self, state: JobState, **changes: object) -> "Job":
        if self.state.finished:
            raise ValueError(f"{self.job_id} has finished ({self.state.name}) and cannot become {state.name}")
        return replace(self, state=state, revision=self.revision + 1, **changes)  # type: ignore[arg-type]  # fields above


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how patiently, a job is tried."""

    max_attempts: int
    backoff_seconds: float
    backoff_max_seconds: float

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or not 0 < self.backoff_seconds <= self.backoff_max_seconds:
            raise ValueError(f"a retry policy needs an attempt and rising backoffs, got {self}")


# More would overflow a float long after the ceiling was reached.
_MOST_DOUBLINGS: Final = 64


def retry_delay(policy: RetryPolicy, attempt: int, error: MeshError, rng: Rng) -> float | None:
    """Seconds until the next try, or None to give up.

    Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"); a failure that
    says when to retry is not tried sooner. What will fail the same way again is not tried again.

    Args:
        policy: how often and how patiently.
        attempt: how many tries there have been, from 1.
        error: how the last one ended.
        rng: for the jitter.
    """
    if attempt >= policy.max_attempts or error.code not in MAY_PASS:
        return None
    return backoff(policy, attempt, error, rng)


def backoff(policy: RetryPolicy, attempt: int, error: MeshError, rng: Rng) -> float:
    """Seconds until the next try, for those who never give up."""
    doublings = min(attempt - 1, _MOST_DOUBLINGS)
    ceiling = min(policy.backoff_seconds * 2.0**doublings, policy.backoff_max_seconds)
    return max(rng.uniform(0.0, ceiling), error.retry_after or 0.0)


def job_error(error: MeshError) -> JobError:
    """What the caller reads about a failure."""
    return JobError(error.reason.name, error.message)


TOO_MANY_DELIVERIES: Final = JobError(
    Reason.INTERNAL.name, "Workers died while they worked on this job; it was given up after the last try."
)
