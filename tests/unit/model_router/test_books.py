from agentmesh.monitoring.v1.monitoring_pb2 import ReportUsageRequest, ReportUsageResponse
from libs.core.context import Principal, RequestContext, scope
from libs.core.deadline import Deadline
from libs.core.money import UsdMicros
from libs.telemetry.metrics import Metrics
from libs.telemetry.usage import UsageReporter
from services.model_router.adapters.books import TelemetryBooks
from services.model_router.outcome import Hop, Usage
from services.model_router.ports import CallRecord
from tests.unit.model_router.builders import REQUEST_ID, model
from tests.unit.model_router.fakes import VirtualClock

FAILED = Hop("a", "overloaded_error", 0.5, None, Usage(100), UsdMicros(100))
ANSWERED = Hop("b", "", 1.5, 0.25, Usage(100, 10, 1000, 2000), UsdMicros(2750))


async def test_a_generation_is_accounted_everywhere() -> None:
    clock = VirtualClock()
    reported: list[ReportUsageRequest] = []

    async def send(request: ReportUsageRequest) -> ReportUsageResponse:
        reported.append(request)
        return ReportUsageResponse()

    metrics = Metrics("model_router")
    usage = UsageReporter(send, clock)
    books = TelemetryBooks(metrics, usage, "model_router", clock)
    request = RequestContext(Deadline.after(1.0, clock), principal=Principal("t1", "u1"))
    with scope(request):
        books.hop_ended(model("a"), FAILED, fell_back=True)
        books.hop_ended(model("b"), ANSWERED, fell_back=False)
        books.call_ended(CallRecord(REQUEST_ID, (FAILED, ANSWERED), 2.25, ""))
    await usage.flush()

    (event,) = reported[0].events
    assert (event.service, event.tenant_id, event.event_time.seconds) == ("model_router", "t1", 1000)
    call = event.model_call
    assert (call.model, call.cost_usd_micros, call.fallback_count, call.error_reason) == ("b", 2850, 1, "")
    assert (call.usage.input_tokens, call.usage.output_tokens) == (200, 10)
    assert (call.usage.cache_read_input_tokens, call.usage.cache_creation_input_tokens) == (1000, 2000)
    assert call.duration.ToMilliseconds() == 2250

    assert request.log_fields["hops"] == ["a:overloaded_error", "b:ok"]
    assert (request.log_fields["model"], request.log_fields["cost_usd_micros"]) == ("b", 2850)

    chat = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "anthropic"}
    value = metrics.registry.get_sample_value
    a, b = {**chat, "gen_ai_request_model": "a"}, {**chat, "gen_ai_request_model": "b"}
    assert value("gen_ai_client_operation_duration_seconds_sum", {**a, "error_type": "overloaded_error"}) == 0.5
    assert value("gen_ai_client_operation_duration_seconds_sum", {**b, "error_type": ""}) == 1.5
    assert value("gen_ai_client_operation_time_to_first_chunk_seconds_sum", b) == 0.25
    assert value("gen_ai_client_token_usage_sum", {**b, "gen_ai_token_type": "cache_write"}) == 2000
    assert value("agentmesh_router_cost_usd_micros_total", {"gen_ai_request_model": "b"}) == 2750
    assert value("agentmesh_router_fallbacks_total", {"gen_ai_request_model": "a", "reason": "overloaded_error"}) == 1


def test_without_monitoring_and_outside_a_request_metrics_remain() -> None:
    metrics = Metrics("model_router")
    books = TelemetryBooks(metrics, None, "model_router", VirtualClock())
    books.hop_ended(model("b"), ANSWERED, fell_back=False)
    books.call_ended(CallRecord(REQUEST_ID, (ANSWERED,), 1.5, ""))
    assert (
        metrics.registry.get_sample_value("agentmesh_router_cost_usd_micros_total", {"gen_ai_request_model": "b"})
        == 2750
    )
