"""Who is told what happens in a channel: nobody, or the metrics and the log."""

from collections.abc import Mapping
from typing import Final, Protocol

import grpc
from prometheus_client import Histogram

from libs.mesh.breaker import State
from libs.telemetry import catalogue
from libs.telemetry.telemetry import Telemetry


class CallObserver(Protocol):
    """Told of what happens in one channel. Its methods are synchronous, quick, and do not raise."""

    def attempt_finished(self, method: str, endpoint: str, code: grpc.StatusCode, seconds: float) -> None:
        """One attempt of `/package.Service/Method` at `endpoint` ended."""
        ...

    def retried(self) -> None:
        """A call is about to make an attempt beyond its first."""
        ...

    def breaker_changed(self, endpoint: str, old: State, new: State) -> None:
        """An endpoint's breaker changed its state."""
        ...

    def endpoints_changed(self, states: Mapping[State, int]) -> None:
        """The set of endpoints, or the state of one, changed: how many there are in each state."""
        ...

    def resolution_failed(self, error: str) -> None:
        """A look-up of the target failed; the last good set stays in use."""
        ...


class SilentObserver:
    """Tells nobody."""

    __slots__ = ()

    def attempt_finished(self, method: str, endpoint: str, code: grpc.StatusCode, seconds: float) -> None:
        """Ignored."""

    def retried(self) -> None:
        """Ignored."""

    def breaker_changed(self, endpoint: str, old: State, new: State) -> None:
        """Ignored."""

    def endpoints_changed(self, states: Mapping[State, int]) -> None:
        """Ignored."""

    def resolution_failed(self, error: str) -> None:
        """Ignored."""


class TelemetryObserver:
    """Metrics for what happens often, log events for changes of state."""

    __slots__ = ("_attempts", "_breakers", "_durations", "_endpoints", "_log", "_retries", "_target")

    def __init__(self, target: str, telemetry: Telemetry) -> None:
        metrics = telemetry.metrics
        self._target: Final = target
        self._log: Final = telemetry.log
        self._durations: Final = metrics.histogram(catalogue.GRPC_CLIENT_ATTEMPT_DURATION)
        self._retries: Final = metrics.counter(catalogue.MESH_RETRIES).labels(target)
        self._breakers: Final = metrics.counter(catalogue.MESH_BREAKER_TRANSITIONS)
        self._endpoints: Final = metrics.gauge(catalogue.MESH_ENDPOINTS)
        # Finding a labelled child again costs more than all the rest of an observation.
        self._attempts: Final[dict[tuple[str, str], Histogram]] = {}

    def attempt_finished(self, method: str, endpoint: str, code: grpc.StatusCode, seconds: float) -> None:
        """Observe `grpc.client.attempt.duration`."""
        del endpoint  # Not a label: pods come and go, series stay.
        status = code.name
        child = self._attempts.get((method, status))
        if child is None:
            child = self._attempts[method, status] = self._durations.labels(method, self._target, status)
        child.observe(seconds)

    def retried(self) -> None:
        """Count it."""
        self._retries.inc()

    def breaker_changed(self, endpoint: str, old: State, new: State) -> None:
        """Count it, and log it as `mesh.breaker_changed`."""
        self._breakers.labels(self._target, new.name.lower()).inc()
        self._log.info(
            "mesh.breaker_changed", target=self._target, endpoint=endpoint, old=old.name.lower(), new=new.name.lower()
        )

    def endpoints_changed(self, states: Mapping[State, int]) -> None:
        """Set the gauges."""
        for state in State:
            self._endpoints.labels(self._target, state.name.lower()).set(states.get(state, 0))

    def resolution_failed(self, error: str) -> None:
        """Log it as `mesh.resolution_failed`."""
        self._log.warning("mesh.resolution_failed", target=self._target, error=error)
