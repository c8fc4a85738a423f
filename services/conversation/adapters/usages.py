"""Turns, counted: in our metrics and, through the usage reporter, in monitoring."""

from typing import Final

from agentmesh.monitoring.v1.monitoring_pb2 import TurnEvent, UsageEvent
from libs.core.clock import Clock
from libs.telemetry import catalogue
from libs.telemetry.metrics import Metrics
from libs.telemetry.usage import UsageReporter
from services.conversation.convert import duration, layer_proto, timestamp
from services.conversation.ports import TurnOutcome, Usages
from services.conversation.turn import Report

_NOTHING: Final = Report()


class ReportedUsages(Usages):
    """Implements the port. A replayed answer was counted when it was made, so it is no turn of its own."""

    def __init__(self, reporter: UsageReporter | None, metrics: Metrics, clock: Clock) -> None:
        self._reporter: Final = reporter
        self._clock: Final = clock
        self._turns: Final = metrics.counter(catalogue.CONVERSATION_TURNS)
        self._degraded: Final = metrics.counter(catalogue.CONVERSATION_DEGRADED)

    def turn_ended(self, outcome: TurnOutcome) -> None:
        """Count a turn."""
        report = outcome.report or _NOTHING
        if report.replayed:
            return
        self._turns.labels(outcome.error_reason or report.route.name).inc()
        for part in report.degraded:
            self._degraded.labels(part).inc()
        if self._reporter is None:
            return
        self._reporter.record(
            UsageEvent(
                service="conversation",
                tenant_id=outcome.owner.tenant_id,
                event_time=timestamp(self._clock.time()),
                turn=TurnEvent(
                    duration=duration(outcome.duration),
                    error_reason=outcome.error_reason,
                    cache_layer=layer_proto(report.cache_layer),
                    saved_usd_micros=report.saved_usd_micros,
                    degraded=bool(report.degraded),
                ),
            )
        )
