"""The metrics of one process: the catalogue's declarations turned into Prometheus objects."""

from collections.abc import Callable
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from libs.telemetry.catalogue import Kind, MetricSpec, exposed_name

M = TypeVar("M", Counter, Gauge, Histogram)


class Metrics:
    """One registry. A metric appears when it is first asked for, and asking again gives the same object.

    On a hot path keep the child that `.labels(...)` returns: finding it again costs a microsecond, using it a third.
    """

    def __init__(self, service: str) -> None:
        self.registry: Final = CollectorRegistry()
        self._service = service
        self._made: dict[MetricSpec, Counter | Gauge | Histogram] = {}
        ProcessCollector(registry=self.registry)

    def counter(self, spec: MetricSpec) -> Counter:
        """The counter `spec` declares; ValueError if it declares another kind."""
        return self._get(spec, "counter", Counter, lambda: Counter(*_arguments(spec), registry=self.registry))

    def gauge(self, spec: MetricSpec) -> Gauge:
        """The gauge `spec` declares; ValueError if it declares another kind."""
        return self._get(spec, "gauge", Gauge, lambda: Gauge(*_arguments(spec), registry=self.registry))

    def histogram(self, spec: MetricSpec) -> Histogram:
        """The histogram `spec` declares; ValueError if it declares another kind."""

        def make() -> Histogram:
            return Histogram(*_arguments(spec), registry=self.registry, buckets=spec.buckets)

        return self._get(spec, "histogram", Histogram, make)

    def exposition(self) -> bytes:
        """All values in Prometheus' text format."""
        return generate_latest(self.registry)

    def _get(self, spec: MetricSpec, kind: Kind, made_type: type[M], make: Callable[[], M]) -> M:
        made = self._made.get(spec)
        if made is None:
            if spec.kind != kind:
                raise ValueError(f"{spec.name} is a {spec.kind}, not a {kind}")
            made = self._made[spec] = make()
        if not isinstance(made, made_type):
            raise ValueError(f"{spec.name} is a {spec.kind}, not a {kind}")
        return made

    def __repr__(self) -> str:
        return f"Metrics({self._service!r}, {len(self._made)} in use)"


def _arguments(spec: MetricSpec) -> tuple[str, str, tuple[str, ...]]:
    return exposed_name(spec), spec.help, spec.labels
