"""Fourth: is there room, and is there time?"""

import asyncio
import math
from typing import Final, NamedTuple

from libs.core.errors import MeshError, Reason
from libs.server.call import Call, Proceed
from libs.server.spec import MethodPolicy
from libs.server.stages.request_context import client_timeout
from libs.telemetry.catalogue import SERVER_IN_FLIGHT, SERVER_SHED
from libs.telemetry.metrics import Metrics

# Long enough that a burst has passed, short enough that a client still waits; clients add their own jitter.
_RETRY_AFTER: Final = 0.5


class AdmissionStatistics(NamedTuple):
    """A snapshot of the admission."""

    in_flight: int
    """Calls being served."""
    limit: int
    """Calls that may be served at once."""
    shed: int
    """Calls refused so far."""


class AdmissionStage:
    """Refuses calls that come too late or find the replica full; ends those that outlive their default timeout.

    A call whose client sent a deadline is cancelled by gRPC itself when that passes, so only the others get a timer.

    Args:
        limit: calls in flight above which new ones are refused with OVERLOADED; housekeeping is never refused.
        metrics: shows what is in flight and what was refused.
    """

    def __init__(self, limit: int, metrics: Metrics) -> None:
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self._limit = limit
        self._in_flight = 0
        self._shed = 0
        self._shed_metric = metrics.counter(SERVER_SHED)
        # Asked for when scraped; keeping a gauge up to date would cost every call.
        metrics.gauge(SERVER_IN_FLIGHT).set_function(lambda: self._in_flight)

    def wrap(self, method: str, policy: MethodPolicy, proceed: Proceed) -> Proceed:
        """Housekeeping is always let in, and ended after its time whatever deadline its client sent."""
        if policy.housekeeping:
            return _limited(proceed, policy.default_timeout)
        shed_metric = self._shed_metric.labels(method)
        timer = math.isfinite(policy.default_timeout)

        async def admitted(call: Call, request: object) -> object:
            if self._in_flight >= self._limit:
                self._shed += 1
                shed_metric.inc()
                raise MeshError(Reason.OVERLOADED, retry_after=_RETRY_AFTER)
            self._in_flight += 1
            try:
                if client_timeout(call.servicer_context) is None and timer:
                    return await _timed(call, request, proceed, policy.default_timeout)
                return await proceed(call, request)
            finally:
                self._in_flight -= 1

        return admitted

    def statistics(self) -> AdmissionStatistics:
        """What happened so far."""
        return AdmissionStatistics(self._in_flight, self._limit, self._shed)

    def __repr__(self) -> str:
        return f"AdmissionStage({self._in_flight}/{self._limit}, shed={self._shed})"


def _limited(proceed: Proceed, seconds: float) -> Proceed:
    async def limited(call: Call, request: object) -> object:
        return await _timed(call, request, proceed, seconds)

    return limited


async def _timed(call: Call, request: object, proceed: Proceed, timeout: float) -> object:
    try:
        async with asyncio.timeout(timeout) as timer:
            return await proceed(call, request)
    except TimeoutError:
        # A TimeoutError may also be the handler's own, about something else.
        if not timer.expired():
            raise
        raise MeshError(Reason.DEADLINE_TOO_SHORT) from None
