"""When the next attempt of a hedged call is due: pure, with neither time nor a network in it (gRFC A6, hedging)."""

from typing import Final

from libs.mesh.retry import Failure, pushback_seconds
from libs.mesh.service_config import HedgingPolicy


class HedgePlan:
    """The attempts of one hedged call: told what happened, it says when to send the next one.

    An attempt every `delay` seconds; at once when one fails with a non-fatal code, and the following ones `delay`
    after that. A server's pushback moves the next attempt or, if it asks not to be called again, stops them all; so
    does RetryInfo, which is for the caller to read. Nothing is due at or after the deadline.

    Args:
        policy: the method's.
        expires_at: the call's deadline, on the same scale as every `now`.
    """

    __slots__ = ("_attempts", "_expires_at", "_policy", "_stopped", "due")

    def __init__(self, policy: HedgingPolicy, expires_at: float) -> None:
        self._policy: Final = policy
        self._expires_at: Final = expires_at
        self._attempts = 0
        self._stopped = False
        self.due: float | None = None
        """The instant of the next attempt, None if there is to be none unless one fails."""

    def sent(self, now: float) -> None:
        """An attempt was sent."""
        self._attempts += 1
        self._plan(now + self._policy.delay)

    def failed(self, failure: Failure, now: float) -> bool:
        """An attempt failed; answers whether the others may still decide the call, False if this failure does."""
        if failure.code not in self._policy.codes:
            self.stop()
            return False
        if failure.pushback is not None:
            asked = pushback_seconds(failure.pushback)
            if asked is None:
                self.stop()
            else:
                self._plan(now + asked)
        elif failure.handed_back:
            self.stop()
        else:
            self._plan(now)
        return True

    def stop(self) -> None:
        """Nothing more is to be sent: the budget is spent, or there is nobody else to ask."""
        self._stopped = True
        self.due = None

    def _plan(self, at: float) -> None:
        possible = not self._stopped and self._attempts < self._policy.max_attempts and at < self._expires_at
        self.due = at if possible else None

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "waiting" if self.due is not None else "complete"
        return f"<HedgePlan {state} after {self._attempts} of {self._policy.max_attempts} attempts>"
