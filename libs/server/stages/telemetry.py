"""Outermost: the span, the duration and the one log line of a call. Sees every outcome, a refusal too."""

from typing import Final

from prometheus_client import Histogram

from libs.core.clock import Clock
from libs.core.errors import Code
from libs.server.call import Call, Proceed
from libs.server.spec import MethodPolicy
from libs.telemetry.catalogue import GRPC_SERVER_CALL_DURATION
from libs.telemetry.logs import EventWriter
from libs.telemetry.telemetry import Telemetry

# Our fault, as alerts count it; everything else the caller can change.
_SERVER_FAULTS: Final = frozenset(
    {Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNAVAILABLE, Code.DATA_LOSS, Code.UNIMPLEMENTED}
)
_CODE_NAMES: Final = {code: code.name for code in Code}


class TelemetryStage:
    """Measures calls and writes `rpc.finished`.

    Args:
        telemetry: where spans and durations go.
        clock: measures the durations.
    """

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        self._tracing = telemetry.tracing
        self._durations = telemetry.metrics.histogram(GRPC_SERVER_CALL_DURATION)
        self._clock = clock
        self._line = EventWriter("server", "rpc.finished")

    def wrap(self, method: str, policy: MethodPolicy, proceed: Proceed) -> Proceed:
        """Every method is measured."""
        outcome = _Outcome(method, self._durations, self._line, policy.housekeeping)
        now = self._clock.monotonic
        tracing = self._tracing
        name = method.removeprefix("/")

        async def measured(call: Call, request: object) -> object:
            started = now()
            span = tracing.start_server_span(name, call.parent_traceparent)
            call.traceparent = span.traceparent
            try:
                return await proceed(call, request)
            finally:
                outcome.record(call, now() - started)
                span.end(call.code not in _SERVER_FAULTS)

        return measured


class _Outcome:
    """The metrics and the log line of one method; keeps the metric's children, as finding them is half the cost."""

    __slots__ = ("_durations", "_line", "_method", "_ok_duration", "_quiet")

    def __init__(self, method: str, durations: Histogram, line: EventWriter, quiet: bool) -> None:
        self._method = method
        self._durations = durations
        self._line = line
        self._quiet = quiet
        # Made now, so that rates of a method that nobody has called yet are zero, not absent.
        self._ok_duration = durations.labels(method, "OK")

    def record(self, call: Call, seconds: float) -> None:
        if call.code is Code.OK:
            code = "OK"
            self._ok_duration.observe(seconds)
        else:
            code = _CODE_NAMES[call.code]
            self._durations.labels(self._method, code).observe(seconds)
        if self._quiet and call.code not in _SERVER_FAULTS:
            return
        self._line.write(self._fields(call, code, seconds))

    def _fields(self, call: Call, code: str, seconds: float) -> dict[str, object]:
        fields: dict[str, object] = {
            "method": self._method,
            "code": code,
            "duration_ms": round(seconds * 1000, 3),
            "trace_id": call.traceparent[3:35],
        }
        if call.reason:
            fields["reason"] = call.reason
        context = call.request_context
        if context is not None:
            if context.principal is not None:
                fields["tenant_id"] = context.principal.tenant_id
            if context.log_fields:
                fields.update(context.log_fields)
        return fields
