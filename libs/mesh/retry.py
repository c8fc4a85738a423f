"""Whether a failed attempt is worth another one, and after how long: pure, with neither time nor a network in it."""

from dataclasses import dataclass
from typing import Final

from libs.core.errors import Code
from libs.core.rng import Rng
from libs.mesh.budget import RetryBudget
from libs.mesh.service_config import RetryPolicy


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed.

    Attributes:
        code: its status.
        pushback: the server's `grpc-retry-pushback-ms`, or None if it sent none; see `pushback_seconds`.
        handed_back: the answer carries RetryInfo, so it says when the caller may come back: that is for the
            caller to decide, as waiting that long here would spend its deadline.
    """

    code: Code
    pushback: str | None = None
    handed_back: bool = False


def divides(policy: RetryPolicy | None) -> bool:
    """Whether attempts get less than a call's whole time; see `attempt_timeout`."""
    return policy is not None and (policy.attempt_timeout is not None or Code.DEADLINE_EXCEEDED in policy.codes)


def attempt_timeout(policy: RetryPolicy, attempts: int, remaining: float) -> float:
    """Seconds that the next attempt may take; for a policy that `divides`.

    The policy's `perAttemptRecvTimeout` if it has one. Otherwise, a DEADLINE_EXCEEDED being worth a retry, each
    attempt gets an equal share of what is left: `remaining / attempts left`, so that there is time for the retry and
    what an attempt does not use is passed on to the later ones. Never more than `remaining`.

    Args:
        policy: the method's.
        attempts: how many were made before.
        remaining: seconds left until the call's deadline.
    """
    if policy.attempt_timeout is not None:
        return min(policy.attempt_timeout, remaining)
    if Code.DEADLINE_EXCEEDED not in policy.codes:
        return remaining
    return remaining / max(1, policy.max_attempts - attempts)


class RetryDecider:
    """Decides about retries of one channel's calls; all of them share the budget."""

    __slots__ = ("_budget", "_rng")

    def __init__(self, budget: RetryBudget, rng: Rng) -> None:
        self._budget: Final = budget
        self._rng: Final = rng

    def delay(self, policy: RetryPolicy | None, failure: Failure, attempts: int, remaining: float) -> float | None:
        """Seconds until the next attempt, or None if there is to be none. Spends the budget if it says yes.

        Args:
            policy: the method's, None if it is never retried.
            failure: how the latest attempt failed.
            attempts: how many were made, at least 1.
            remaining: seconds left until the call's deadline.
        """
        if policy is None or attempts >= policy.max_attempts or failure.code not in policy.codes:
            return None
        if failure.pushback is not None:
            asked = pushback_seconds(failure.pushback)
            if asked is None:
                return None
            delay = asked
        elif failure.handed_back:
            return None
        else:
            delay = policy.backoff.delay(attempts - 1, self._rng)
        if delay >= remaining or not self._budget.try_withdraw():
            return None
        return delay


def pushback_seconds(pushback: str) -> float | None:
    """How long `grpc-retry-pushback-ms` asks to wait; None if it asks not to be called again.

    A broken value asks that too (gRFC A6).
    """
    # gRPC reads it as a 32-bit number.
    if pushback.isascii() and pushback.isdigit() and int(pushback) < 2**31:
        return int(pushback) / 1000
    return None
