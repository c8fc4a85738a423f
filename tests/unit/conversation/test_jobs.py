"""The life of a job."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.core.errors import Code, MeshError, Reason
from libs.core.rng import new_rng
from services.conversation.jobs import Job, JobError, JobState, RetryPolicy, backoff, retry_delay
from services.conversation.turn import Answer, Report
from tests.unit.conversation.fakes import CONVERSATION, OWNER, REQUEST_ID
from tests.unit.conversation.world import message

ERROR = JobError("MODEL_UNAVAILABLE", "No model could answer.")
ANSWER = Answer(message(), Report())
policies = st.builds(
    lambda attempts, first, more: RetryPolicy(attempts, first, first + more),
    st.integers(1, 2_000),
    st.floats(0.001, 10),
    st.floats(0, 1_000),
)


def new_job() -> Job:
    return Job("job_1", OWNER, CONVERSATION, REQUEST_ID, "Hi?", create_time=1.0)


class JobMachine(RuleBasedStateMachine):
    """Any order of what can happen to a job."""

    def __init__(self) -> None:
        super().__init__()
        self.job = new_job()
        self.tries = 0
        self.changes = 1
        self.now = 1.0

    def _moved(self, job: Job) -> None:
        self.changes += 1
        self.now += 1
        self.job = job

    @precondition(lambda self: not self.job.state.finished)
    @rule()
    def start(self) -> None:
        self.tries += 1
        self._moved(self.job.started(self.now))

    @precondition(lambda self: self.job.state is JobState.RUNNING)
    @rule()
    def fail(self) -> None:
        self._moved(self.job.failed_try(ERROR))

    @precondition(lambda self: self.job.state is JobState.RUNNING)
    @rule()
    def succeed(self) -> None:
        self._moved(self.job.succeeded(ANSWER, self.now))

    @precondition(lambda self: not self.job.state.finished)
    @rule()
    def give_up(self) -> None:
        self._moved(self.job.given_up(ERROR, self.now))

    @precondition(lambda self: not self.job.state.finished)
    @rule()
    def cancel(self) -> None:
        self._moved(self.job.cancelled(self.now))

    @precondition(lambda self: self.job.state.finished)
    @rule()
    def nothing_happens_any_more(self) -> None:
        changes: tuple[Callable[[], Job], ...] = (
            lambda: self.job.started(self.now),
            lambda: self.job.failed_try(ERROR),
            lambda: self.job.succeeded(ANSWER, self.now),
            lambda: self.job.given_up(ERROR, self.now),
            lambda: self.job.cancelled(self.now),
        )
        for change in changes:
            with pytest.raises(ValueError, match="has finished"):
                change()

    @invariant()
    def adds_up(self) -> None:
        job = self.job
        assert (job.attempt, job.revision) == (self.tries, self.changes)
        assert (job.finish_time > 0) == job.state.finished
        assert (job.start_time > 0) == (self.tries > 0)
        assert (job.answer is not None) == (job.state is JobState.SUCCEEDED)
        assert job.state is not JobState.SUCCEEDED or job.error is None


TestJobMachine = JobMachine.TestCase


@given(policies, st.integers(1, 3_000), st.integers(), st.sampled_from(Reason))
def test_delays_stay_within_the_policy(policy: RetryPolicy, attempt: int, seed: int, reason: Reason) -> None:
    delay = retry_delay(policy, attempt, MeshError(reason), new_rng(seed))
    if delay is None:
        return
    assert attempt < policy.max_attempts
    assert 0 <= delay <= min(policy.backoff_max_seconds, policy.backoff_seconds * 2.0 ** min(attempt, 100))


@given(policies, st.integers(1, 3_000), st.floats(0, 1e6))
def test_nobody_comes_back_sooner_than_told(policy: RetryPolicy, attempt: int, retry_after: float) -> None:
    error = MeshError(Reason.MODEL_RATE_LIMITED, retry_after=retry_after)
    assert backoff(policy, attempt, error, new_rng(1)) >= retry_after


@pytest.mark.parametrize(
    ("reason", "again"),
    [
        (Reason.MODEL_UNAVAILABLE, True),
        (Reason.RATE_LIMITED, True),
        (Reason.REQUEST_IN_PROGRESS, True),
        (Reason.DEADLINE_TOO_SHORT, True),
        (Reason.INTERNAL, True),
        (Reason.CANCELLED, True),
        (Reason.UNKNOWN_MODEL, False),
        (Reason.NOT_FOUND, False),
        (Reason.SPEND_LIMIT_REACHED, False),
    ],
)
def test_what_will_fail_the_same_way_is_not_tried_again(reason: Reason, again: bool) -> None:
    policy = RetryPolicy(3, 1.0, 8.0)
    assert (retry_delay(policy, 1, MeshError(reason), new_rng(1)) is not None) == again
    assert retry_delay(policy, 3, MeshError(reason), new_rng(1)) is None


@pytest.mark.parametrize("wrong", [(0, 1.0, 2.0), (1, 0.0, 2.0), (1, 3.0, 2.0)])
def test_a_policy_that_makes_no_sense_is_refused(wrong: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="retry policy"):
        RetryPolicy(*wrong)


def test_codes_of_the_catalogue_are_what_the_tests_think() -> None:
    assert Reason.SPEND_LIMIT_REACHED.code is Code.FAILED_PRECONDITION
