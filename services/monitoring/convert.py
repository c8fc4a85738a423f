"""Messages to domain objects and back, and what a valid message is."""

import re
from collections.abc import Iterator
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.monitoring.v1 import monitoring_pb2
from agentmesh.types.v1 import types_pb2
from libs.core.errors import FieldViolation, invalid_fields
from libs.core.ids import is_uuid
from services.monitoring.aggregate import EVERYONE
from services.monitoring.events import Event, ModelCall, Tokens, Turn
from services.monitoring.overview import Overview, Point
from services.monitoring.slices import DEFAULT_WINDOW_SECONDS, MAX_WINDOW_SECONDS, MIN_WINDOW_SECONDS

MAX_EVENTS: Final = 5000
_MAX_VIOLATIONS: Final = 20
# Tenants become part of Redis keys, where braces and colons mean something.
_TENANT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MODEL: Final = re.compile(r"[\x21-\x7e]{1,128}")


def validate_report(request: monitoring_pb2.ReportUsageRequest) -> None:
    """Raise INVALID_ARGUMENT naming the faulty fields (the first 20) unless the batch can be added whole."""
    violations = []
    for violation in _report_faults(request):
        violations.append(violation)
        if len(violations) == _MAX_VIOLATIONS:
            break
    if violations:
        raise invalid_fields(violations)


def validate_overview(request: monitoring_pb2.GetOverviewRequest) -> None:
    """Raise INVALID_ARGUMENT unless the window is unset or 10 seconds to 24 hours long."""
    if not MIN_WINDOW_SECONDS <= window_seconds(request) <= MAX_WINDOW_SECONDS:
        raise invalid_fields([FieldViolation("window", "must be 10 seconds to 24 hours")])


def window_seconds(request: monitoring_pb2.GetOverviewRequest) -> float:
    """The window asked for, or the default."""
    return _seconds(request.window) if request.HasField("window") else DEFAULT_WINDOW_SECONDS


def events_of(request: monitoring_pb2.ReportUsageRequest) -> list[Event]:
    """The events of a valid batch."""
    return [
        Event(
            tenant_id=event.tenant_id,
            ended_at=_seconds(event.event_time),
            what=_turn(event.turn) if event.WhichOneof("kind") == "turn" else _model_call(event.model_call),
        )
        for event in request.events
    ]


def overview_response(overview: Overview) -> monitoring_pb2.GetOverviewResponse:
    """An overview, as it is answered."""
    total = overview.total
    return monitoring_pb2.GetOverviewResponse(
        turn_count=total.turns,
        error_count=total.errors,
        cache_hit_count=total.cache_hits,
        degraded_count=total.degraded,
        p50_ms=total.latency.quantile(0.5),
        p95_ms=total.latency.quantile(0.95),
        p99_ms=total.latency.quantile(0.99),
        usage=_usage(total.tokens),
        cost_usd_micros=total.cost_usd_micros,
        saved_usd_micros=total.saved_usd_micros,
        models=_models(overview),
        points=[_point(point) for point in overview.points],
        window=_duration(overview.window_seconds),
    )


def _report_faults(request: monitoring_pb2.ReportUsageRequest) -> Iterator[FieldViolation]:
    if not is_uuid(request.request_id):
        yield FieldViolation("request_id", "must be a UUID")
    if not 1 <= len(request.events) <= MAX_EVENTS:
        yield FieldViolation("events", f"must be 1 to {MAX_EVENTS:,} events")
        return
    for index, event in enumerate(request.events):
        for field, fault in _event_faults(event):
            yield FieldViolation(f"events[{index}].{field}", fault)


def _event_faults(event: monitoring_pb2.UsageEvent) -> Iterator[tuple[str, str]]:
    if not _TENANT.fullmatch(event.tenant_id) or event.tenant_id == EVERYONE:
        yield "tenant_id", "must be 1 to 64 letters, digits, `_`, `.` or `-`, and not `all`"
    if event.event_time.seconds <= 0:
        yield "event_time", "must be set"
    match event.WhichOneof("kind"):
        case "turn":
            yield from _turn_faults(event.turn)
        case "model_call":
            yield from _model_call_faults(event.model_call)
        case _:
            yield "kind", "must be set: turn or model_call"


def _turn_faults(turn: monitoring_pb2.TurnEvent) -> Iterator[tuple[str, str]]:
    if _seconds(turn.duration) < 0:
        yield "turn.duration", "must not be negative"
    if turn.saved_usd_micros < 0:
        yield "turn.saved_usd_micros", "must not be negative"


def _model_call_faults(call: monitoring_pb2.ModelCallEvent) -> Iterator[tuple[str, str]]:
    if not _MODEL.fullmatch(call.model):
        yield "model_call.model", "must be 1 to 128 printable ASCII characters without spaces"
    if call.cost_usd_micros < 0:
        yield "model_call.cost_usd_micros", "must not be negative"
    used = call.usage
    if min(used.input_tokens, used.output_tokens, used.cache_read_input_tokens, used.cache_creation_input_tokens) < 0:
        yield "model_call.usage", "must not be negative"


def _turn(turn: monitoring_pb2.TurnEvent) -> Turn:
    return Turn(
        duration_ms=_seconds(turn.duration) * 1000,
        failed=bool(turn.error_reason),
        cache_hit=turn.cache_layer != types_pb2.CACHE_LAYER_UNSPECIFIED,
        degraded=turn.degraded,
        saved_usd_micros=turn.saved_usd_micros,
    )


def _model_call(call: monitoring_pb2.ModelCallEvent) -> ModelCall:
    used = call.usage
    return ModelCall(
        model=call.model,
        tokens=Tokens(
            uncached_input=used.input_tokens,
            output=used.output_tokens,
            cache_read=used.cache_read_input_tokens,
            cache_creation=used.cache_creation_input_tokens,
        ),
        cost_usd_micros=call.cost_usd_micros,
        failed=bool(call.error_reason),
    )


def _usage(tokens: Tokens) -> types_pb2.TokenUsage:
    return types_pb2.TokenUsage(
        input_tokens=tokens.uncached_input,
        output_tokens=tokens.output,
        cache_read_input_tokens=tokens.cache_read,
        cache_creation_input_tokens=tokens.cache_creation,
    )


def _models(overview: Overview) -> list[monitoring_pb2.ModelOverview]:
    return [
        monitoring_pb2.ModelOverview(
            model=name, call_count=part.calls, usage=_usage(part.tokens), cost_usd_micros=part.cost_usd_micros
        )
        for name, part in overview.models()
    ]


def _point(point: Point) -> monitoring_pb2.OverviewPoint:
    tally = point.tally
    return monitoring_pb2.OverviewPoint(
        start_time=Timestamp(seconds=point.start),
        turn_count=tally.turns,
        error_count=tally.errors,
        cache_hit_count=tally.cache_hits,
        cost_usd_micros=tally.cost_usd_micros,
        p50_ms=tally.latency.quantile(0.5),
        p95_ms=tally.latency.quantile(0.95),
    )


def _seconds(span: Duration | Timestamp) -> float:
    return span.seconds + span.nanos / 1e9


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(int(seconds * 1_000_000))
    return duration
