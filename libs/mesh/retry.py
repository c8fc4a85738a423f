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
        pushback: the server's `grpc-retry-pushback-ms`, or None if it sent none. Anything but a non-negative
            number means "do not retry" (gRFC A6).
        handed_back: the answer carries RetryInfo, so it says when the caller may come back: that is for the
            caller to decide, as waiting that long here would spend its deadline.
    """

    code: Code
    pushback: str | None = None
    handed_back: bool = False


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
            # A broken or negative value asks not to be called again.
            delay = int(failure.pushback) / 1000 if _is_count(failure.pushback) else remaining
        elif failure.handed_back:
            return None
        else:
            delay = policy.backoff.delay(attempts - 1, self._rng)
        if delay >= remaining or not self._budget.try_withdraw():
            return None
        return delay


def _is_count(text: str) -> bool:
    # gRPC reads it as a 32-bit number.
    return text.isascii() and text.isdigit() and int(text) < 2**31
