import re

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.core import context
from libs.core.context import RequestContext
from libs.core.deadline import Deadline
from libs.core.rng import new_rng
from libs.telemetry.otlp import OtlpRecorder
from libs.telemetry.traces import Tracing
from libs.testing.clock import ManualClock

PARENT = f"00-{'a' * 32}-{'b' * 16}-00"
SAMPLED_PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
VALID = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


def tracing(ratio: float, exporter: InMemorySpanExporter | None = None) -> Tracing:
    recorder = OtlpRecorder("test", "", exporter) if exporter is not None else None
    return Tracing("test", "", ratio, rng=new_rng(7), recorder=recorder)


def test_a_call_without_a_trace_begins_one() -> None:
    tracer = tracing(0.0)

    first, second = tracer.start_server_span("a", None), tracer.start_server_span("a", None)

    assert VALID.fullmatch(first.traceparent)
    assert first.traceparent != second.traceparent
    assert first.traceparent.endswith("-00")


def test_a_call_inside_a_trace_stays_in_it() -> None:
    assert tracing(1.0).start_server_span("a", PARENT).traceparent == PARENT


@pytest.mark.parametrize(
    "malformed",
    ["", "garbage", PARENT + "x", PARENT.replace("00-a", "01-a"), f"00-{'0' * 32}-{'b' * 16}-00", PARENT.upper()],
)
def test_a_malformed_parent_is_ignored(malformed: str) -> None:
    traceparent = tracing(0.0).start_server_span("a", malformed).traceparent

    assert VALID.fullmatch(traceparent)
    assert traceparent != malformed


def test_about_the_share_asked_for_is_sampled() -> None:
    tracer = tracing(0.25)

    sampled = sum(tracer.start_server_span("a", None).traceparent.endswith("-01") for _ in range(4000))

    # Binomial(4000, 1/4): standard deviation 27; five of them.
    assert abs(sampled - 1000) < 135


def test_a_sampled_span_is_exported_below_its_parent() -> None:
    exporter = InMemorySpanExporter()
    tracer = tracing(0.0, exporter)

    span = tracer.start_server_span("agentmesh.auth.v1.AuthService/Authorize", SAMPLED_PARENT)
    span.end(ok=False)
    tracer.shutdown()

    (exported,) = exporter.get_finished_spans()
    assert exported.name == "agentmesh.auth.v1.AuthService/Authorize"
    assert exported.parent is not None
    assert f"{exported.parent.span_id:016x}" == "b" * 16
    assert span.traceparent.startswith(f"00-{'a' * 32}-")
    assert not exported.status.is_ok


def test_inner_spans_hang_below_the_request_and_calls_below_them() -> None:
    exporter = InMemorySpanExporter()
    tracer = tracing(0.0, exporter)
    request = RequestContext(Deadline.after(1.0, ManualClock()), SAMPLED_PARENT)

    with context.scope(request), tracer.span("lookup") as span:
        assert context.require().traceparent == span.traceparent != SAMPLED_PARENT
        assert context.require().log_fields is request.log_fields
    tracer.shutdown()

    (exported,) = exporter.get_finished_spans()
    assert exported.status.is_ok


def test_a_failing_block_ends_its_span_as_failed() -> None:
    exporter = InMemorySpanExporter()
    tracer = tracing(1.0, exporter)

    with pytest.raises(ZeroDivisionError), tracer.span("broken"):
        raise ZeroDivisionError
    tracer.shutdown()

    (exported,) = exporter.get_finished_spans()
    assert not exported.status.is_ok
