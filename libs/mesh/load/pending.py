"""Load as the number of attempts in flight: what gRPC and Envoy call least request."""

from libs.mesh.breaker import Outcome


class PendingLoad:
    """Costs one more than what is in flight. Knows nothing of time, so an endpoint that fails fast looks idle."""

    __slots__ = ()

    def observe(self, seconds: float, outcome: Outcome, now: float) -> None:
        """Responses do not matter here; their end already lowered what is in flight."""

    def reset(self) -> None:
        """There is nothing to forget."""

    def cost(self, in_flight: int, now: float) -> float:  # noqa: ARG002 - the seam's parameters
        """The attempts in flight if there was one more."""
        return in_flight + 1.0

    def __repr__(self) -> str:
        return "<PendingLoad>"
