"""What a part needs to speak about itself, in one object to hand around."""

from dataclasses import dataclass

from libs.telemetry import logs
from libs.telemetry.logs import Logger
from libs.telemetry.metrics import Metrics
from libs.telemetry.traces import Tracing


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Logs, metrics and traces of one process."""

    log: Logger
    metrics: Metrics
    tracing: Tracing

    @classmethod
    def local(cls, service: str) -> "Telemetry":
        """Telemetry that exports nothing and samples no trace: for tools, benchmarks and tests."""
        return cls(log=logs.get(service), metrics=Metrics(service), tracing=Tracing(service, "", 0.0))
