"""Where generations are accounted: metrics, usage events for monitoring, and the RPC's log line."""

from dataclasses import dataclass
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import Counter, Histogram

from agentmesh.monitoring.v1.monitoring_pb2 import ModelCallEvent, UsageEvent
from agentmesh.types.v1.types_pb2 import TokenUsage
from libs.core import context
from libs.core.clock import Clock
from libs.telemetry import catalogue
from libs.telemetry.metrics import Metrics
from libs.telemetry.usage import UsageReporter
from services.model_router.models import Model
from services.model_router.outcome import Hop, Usage
from services.model_router.ports import Books, CallRecord

_OPERATION: Final = "chat"


@dataclass(frozen=True, slots=True)
class _ModelMetrics:
    """One model's metrics, with their labels looked up once."""

    succeeded: Histogram
    first_text: Histogram
    input_tokens: Histogram
    output_tokens: Histogram
    cache_read_tokens: Histogram
    cache_write_tokens: Histogram
    cost: Counter


class TelemetryBooks(Books):
    """Books kept in the process's telemetry.

    Args:
        metrics: the registry.
        usage: takes usage events; None if monitoring is not configured.
        service: our name on them.
        clock: dates them.
    """

    def __init__(self, metrics: Metrics, usage: UsageReporter | None, service: str, clock: Clock) -> None:
        self._durations = metrics.histogram(catalogue.GEN_AI_OPERATION_DURATION)
        self._first_texts = metrics.histogram(catalogue.GEN_AI_TIME_TO_FIRST_CHUNK)
        self._tokens = metrics.histogram(catalogue.GEN_AI_TOKEN_USAGE)
        self._costs = metrics.counter(catalogue.ROUTER_COST)
        self._fallbacks = metrics.counter(catalogue.ROUTER_FALLBACKS)
        self._usage = usage
        self._service = service
        self._clock = clock
        self._by_model: dict[str, _ModelMetrics] = {}

    def __repr__(self) -> str:
        return f"TelemetryBooks({len(self._by_model)} models, usage={self._usage})"

    def hop_ended(self, model: Model, hop: Hop, fell_back: bool) -> None:
        """See the port."""
        metrics = self._by_model.get(model.name) or self._open(model)
        if not hop.failure:
            metrics.succeeded.observe(hop.duration)
        else:
            self._durations.labels(_OPERATION, model.provider, model.name, hop.failure).observe(hop.duration)
        if hop.time_to_first_text is not None:
            metrics.first_text.observe(hop.time_to_first_text)
        _observe_tokens(metrics, hop.usage)
        if hop.cost_usd_micros:
            metrics.cost.inc(hop.cost_usd_micros)
        if fell_back:
            self._fallbacks.labels(model.name, hop.failure).inc()

    def call_ended(self, record: CallRecord) -> None:
        """See the port."""
        usage = Usage()
        cost = 0
        for hop in record.hops:
            usage += hop.usage
            cost += hop.cost_usd_micros
        request = context.current()
        if request is not None:
            request.log_fields.update(_log_fields(record, usage, cost))
        if self._usage is not None:
            principal = request.principal if request is not None else None
            tenant = principal.tenant_id if principal is not None else ""
            self._usage.record(self._event(record, usage, cost, tenant))

    def _open(self, model: Model) -> _ModelMetrics:
        labels = (_OPERATION, model.provider, model.name)
        opened = self._by_model[model.name] = _ModelMetrics(
            succeeded=self._durations.labels(*labels, ""),
            first_text=self._first_texts.labels(*labels),
            input_tokens=self._tokens.labels(*labels, "input"),
            output_tokens=self._tokens.labels(*labels, "output"),
            cache_read_tokens=self._tokens.labels(*labels, "cache_read"),
            cache_write_tokens=self._tokens.labels(*labels, "cache_write"),
            cost=self._costs.labels(model.name),
        )
        return opened

    def _event(self, record: CallRecord, usage: Usage, cost: int, tenant_id: str) -> UsageEvent:
        call = ModelCallEvent(
            model=record.hops[-1].model,
            usage=TokenUsage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_input_tokens=usage.cache_read_input_tokens,
                cache_creation_input_tokens=usage.cache_creation_input_tokens,
            ),
            cost_usd_micros=cost,
            duration=_duration(record.duration),
            error_reason=record.error_reason,
            fallback_count=len(record.hops) - 1,
        )
        now = self._clock.time()
        ended = Timestamp(seconds=int(now), nanos=int(now % 1 * 1e9))
        return UsageEvent(service=self._service, tenant_id=tenant_id, event_time=ended, model_call=call)


def _observe_tokens(metrics: _ModelMetrics, usage: Usage) -> None:
    # Absent rather than zero: most calls touch no cache, and a histogram of zeros says nothing.
    if usage.input_tokens:
        metrics.input_tokens.observe(usage.input_tokens)
    if usage.output_tokens:
        metrics.output_tokens.observe(usage.output_tokens)
    if usage.cache_read_input_tokens:
        metrics.cache_read_tokens.observe(usage.cache_read_input_tokens)
    if usage.cache_creation_input_tokens:
        metrics.cache_write_tokens.observe(usage.cache_creation_input_tokens)


def _log_fields(record: CallRecord, usage: Usage, cost: int) -> dict[str, object]:
    fields: dict[str, object] = {
        "model_request_id": record.request_id,
        "model": record.hops[-1].model,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_creation_input_tokens,
        "cost_usd_micros": cost,
    }
    if len(record.hops) > 1 or record.error_reason:
        fields["hops"] = [f"{hop.model}:{hop.failure or 'ok'}" for hop in record.hops]
    return fields


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
