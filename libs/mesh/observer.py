"""Who is told what happens in a channel: nobody, or the metrics and the log."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import grpc
from prometheus_client import Counter, Histogram

from libs.mesh.breaker import State
from libs.telemetry import catalogue
from libs.telemetry.telemetry import Telemetry


class CallObserver(Protocol):
    """Told of what happens in one channel. Its methods are synchronous, quick, and do not raise."""

    def attempt_started(self, method: str) -> None:
        """An attempt of `/package.Service/Method` was sent."""
        ...

    def call_finished(self, method: str, code: grpc.StatusCode, seconds: float, attempts: int) -> None:
        """A call ended, after all its attempts."""
        ...

    def attempt_finished(self, method: str, endpoint: str, code: grpc.StatusCode, seconds: float) -> None:
        """One attempt of `/package.Service/Method` at `endpoint` ended."""
        ...

    def retried(self) -> None:
        """A call is about to make an attempt beyond its first."""
        ...

    def breaker_changed(self, endpoint: str, old: State, new: State) -> None:
        """An endpoint's breaker changed its state."""
        ...

    def ejections_changed(self, ejected: Sequence[str]) -> None:
        """The endpoints that are left alone as outliers are these now."""
        ...

    def shed(self) -> None:
        """An attempt was not sent: every endpoint is at its limit, or the channel throttles itself."""
        ...

    def endpoints_changed(self, states: Mapping[State, int]) -> None:
        """The set of endpoints, or the state of one, changed: how many there are in each state."""
        ...

    def resolution_failed(self, error: str) -> None:
        """A look-up of the target failed; the last good set stays in use."""
        ...

    def certificates_changed(self) -> None:
        """New certificates were read; new connections use them."""
        ...

    def certificates_failed(self, error: str) -> None:
        """New certificates could not be used; the old ones stay."""
        ...


class SilentObserver:
    """Tells nobody."""

    __slots__ = ()

    def attempt_started(self, method: str) -> None:
        """Ignored."""

    def call_finished(self, method: str, code: grpc.StatusCode, seconds: float, attempts: int) -> None:
        """Ignored."""

    def attempt_finished(self, method: str, endpoint: str, code: grpc.StatusCode, seconds: float) -> None:
        """Ignored."""

    def retried(self) -> None:
        """Ignored."""

    def breaker_changed(self, endpoint: str, old: State, new: State) -> None:
        """Ignored."""

    def ejections_changed(self, ejected: Sequence[str]) -> None:
        """Ignored."""

    def shed(self) -> None:
        """Ignored."""

    def endpoints_changed(self, states: Mapping[State, int]) -> None:
        """Ignored."""

    def resolution_failed(self, error: str) -> None:
        """Ignored."""

    def certificates_changed(self) -> None:
        """Ignored."""

    def certificates_failed(self, error: str) -> None:
        """Ignored."""


class TelemetryObserver:
    """Metrics for what happens often (gRFC A66's names, where it has one), log events for changes of state."""

    __slots__ = (
        "_attempts",
        "_breakers",
        "_call_durations",
        "_calls",
        "_durations",
        "_ejected",
        "_endpoints",
        "_log",
        "_retries",
        "_shed",
        "_started",
        "_starts",
        "_target",
    )

    def __init__(self, target: str, telemetry: Telemetry) -> None:
        metrics = telemetry.metrics
        self._target: Final = target
        self._log: Final = telemetry.log
        self._durations: Final = metrics.histogram(catalogue.GRPC_CLIENT_ATTEMPT_DURATION)
        self._call_durations: Final = metrics.histogram(catalogue.GRPC_CLIENT_CALL_DURATION)
        self._starts: Final = metrics.counter(catalogue.GRPC_CLIENT_ATTEMPT_STARTED)
        self._retries: Final = metrics.counter(catalogue.MESH_RETRIES).labels(target)
        self._shed: Final = metrics.counter(catalogue.MESH_SHED).labels(target)
        self._ejected: Final = metrics.gauge(catalogue.MESH_EJECTED).labels(target)
        self._breakers: Final = metrics.counter(catalogue.MESH_BREAKER_TRANSITIONS)
        self._endpoints: Final = metrics.gauge(catalogue.MESH_ENDPOINTS)
        # Finding a labelled child again costs more than all the rest of an observation.
        self._attempts: Final[dict[tuple[str, str], Histogram]] = {}
        self._calls: Final[dict[tuple[str, str], Histogram]] = {}
        self._started: Final[dict[str, Counter]] = {}

    def attempt_started(self, method: str) -> None:
        """Count it in `grpc.client.attempt.started`."""
        child = self._started.get(method)
        if child is None:
            child = self._started[method] = self._starts.labels(method, self._target)
        child.inc()

    def attempt_finished(self, method: str, endpoint: str, code: grpc.StatusCode, seconds: float) -> None:
        """Observe `grpc.client.attempt.duration`."""
        del endpoint  # Not a label: pods come and go, series stay.
        status = code.name
        child = self._attempts.get((method, status))
        if child is None:
            child = self._attempts[method, status] = self._durations.labels(method, self._target, status)
        child.observe(seconds)

    def call_finished(self, method: str, code: grpc.StatusCode, seconds: float, attempts: int) -> None:
        """Observe `grpc.client.call.duration`."""
        del attempts  # The difference between attempts and calls says as much.
        status = code.name
        child = self._calls.get((method, status))
        if child is None:
            child = self._calls[method, status] = self._call_durations.labels(method, self._target, status)
        child.observe(seconds)

    def retried(self) -> None:
        """Count it."""
        self._retries.inc()

    def shed(self) -> None:
        """Count it."""
        self._shed.inc()

    def breaker_changed(self, endpoint: str, old: State, new: State) -> None:
        """Count it, and log it as `mesh.breaker_changed`."""
        self._breakers.labels(self._target, new.name.lower()).inc()
        self._log.info(
            "mesh.breaker_changed", target=self._target, endpoint=endpoint, old=old.name.lower(), new=new.name.lower()
        )

    def ejections_changed(self, ejected: Sequence[str]) -> None:
        """Set the gauge, and log it as `mesh.ejections_changed`."""
        self._ejected.set(len(ejected))
        self._log.info("mesh.ejections_changed", target=self._target, ejected=list(ejected))

    def endpoints_changed(self, states: Mapping[State, int]) -> None:
        """Set the gauges."""
        for state in State:
            self._endpoints.labels(self._target, state.name.lower()).set(states.get(state, 0))

    def resolution_failed(self, error: str) -> None:
        """Log it as `mesh.resolution_failed`."""
        self._log.warning("mesh.resolution_failed", target=self._target, error=error)

    def certificates_changed(self) -> None:
        """Log it as `mesh.certificates_changed`."""
        self._log.info("mesh.certificates_changed", target=self._target)

    def certificates_failed(self, error: str) -> None:
        """Log it as `mesh.certificates_failed`."""
        self._log.warning("mesh.certificates_failed", target=self._target, error=error)
