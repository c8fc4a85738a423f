"""What every measure of load looks like."""

from typing import Protocol

from libs.mesh.breaker import Outcome


class Load(Protocol):
    """The load of one endpoint. Synchronous; times are seconds on the clock's monotonic scale."""

    def observe(self, seconds: float, outcome: Outcome, now: float) -> None:
        """Take note of a response: a unary one, or the first of a stream, or how an attempt failed.

        Args:
            seconds: how long it took. Of a NEUTRAL outcome (cancelled, given too little time) only that it took
                at least as long is known.
            outcome: what it says about the endpoint.
            now: the instant.
        """
        ...

    def reset(self) -> None:
        """Forget everything: the endpoint is well again, and what it was like before says nothing."""
        ...

    def cost(self, in_flight: int, now: float) -> float:
        """What one more attempt would cost, comparable between endpoints of one channel; above 0, less is better.

        Args:
            in_flight: attempts that have not ended.
            now: the instant.
        """
        ...
