"""Recorded spans: OpenTelemetry's SDK, sending batches to a collector over OTLP/gRPC."""

from collections.abc import Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from libs.telemetry.traces import Span, SpanKind

_KINDS: Final[Mapping[SpanKind, trace.SpanKind]] = {
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "internal": trace.SpanKind.INTERNAL,
}


class RecordedSpan:
    """A span that will be exported."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: trace.Span) -> None:
        own = span.get_span_context()
        self._span = span
        self.traceparent: Final = f"00-{own.trace_id:032x}-{own.span_id:016x}-01"

    def end(self, ok: bool) -> None:
        """Stop its time and queue it for export."""
        self._span.set_status(trace.StatusCode.OK if ok else trace.StatusCode.ERROR)
        self._span.end()


class OtlpRecorder:
    """Exports every span it starts; which spans those are, `Tracing` decides.

    Args:
        service: `service.name` of the spans.
        endpoint: host:port of the collector; unused when `exporter` is given.
        exporter: where batches go instead, for tests.
    """

    def __init__(self, service: str, endpoint: str, exporter: SpanExporter | None = None) -> None:
        sink = exporter if exporter is not None else OTLPSpanExporter(endpoint=endpoint, insecure=True)
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource({SERVICE_NAME: service}))
        self._provider.add_span_processor(BatchSpanProcessor(sink))
        self._tracer = self._provider.get_tracer("agentmesh")

    def start(self, name: str, kind: SpanKind, traceparent: str) -> Span:
        """Start a span below `traceparent`, or a new trace if that is empty."""
        return RecordedSpan(self._tracer.start_span(name, context=_parent(traceparent), kind=_KINDS[kind]))

    def shutdown(self) -> None:
        """Export what is waiting and stop the exporter's thread."""
        self._provider.shutdown()


def _parent(traceparent: str) -> Context:
    if not traceparent:
        return Context()
    above = SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(above), Context())
