from uuid import UUID

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.monitoring.v1.monitoring_pb2 import (
    GetOverviewRequest,
    ModelCallEvent,
    ReportUsageRequest,
    TurnEvent,
    UsageEvent,
)
from agentmesh.types.v1 import types_pb2
from libs.core.errors import Code, MeshError
from services.monitoring import convert
from services.monitoring.events import Event, ModelCall, Tokens, Turn
from services.monitoring.overview import summarise
from services.monitoring.slices import plan
from services.monitoring.tally import Tally

NOW = 1_800_000_000
BATCH = str(UUID(int=1))


def event(**fields: object) -> UsageEvent:
    made = UsageEvent(service="conversation", tenant_id="ta", event_time=Timestamp(seconds=NOW))
    made.MergeFrom(UsageEvent(**fields))  # type: ignore[arg-type] # the stub wants each keyword's own type
    return made


def faults(request: ReportUsageRequest) -> set[str]:
    with pytest.raises(MeshError) as raised:
        convert.validate_report(request)
    assert raised.value.code is Code.INVALID_ARGUMENT
    return {violation.field for violation in raised.value.violations}


def test_a_turn_and_a_model_call_become_events() -> None:
    turn = TurnEvent(
        duration=Duration(nanos=2_500_000),
        error_reason="RATE_LIMITED",
        cache_layer=types_pb2.CACHE_LAYER_SEMANTIC,
        saved_usd_micros=12,
        degraded=True,
    )
    usage = types_pb2.TokenUsage(
        input_tokens=1, output_tokens=2, cache_read_input_tokens=3, cache_creation_input_tokens=4
    )
    call = ModelCallEvent(model="claude-haiku-5-5", usage=usage, cost_usd_micros=5)
    request = ReportUsageRequest(request_id=BATCH, events=[event(turn=turn), event(model_call=call)])

    convert.validate_report(request)
    assert convert.events_of(request) == [
        Event("ta", NOW, Turn(2.5, failed=True, cache_hit=True, degraded=True, saved_usd_micros=12)),
        Event("ta", NOW, ModelCall("claude-haiku-5-5", Tokens(1, 2, 3, 4), 5, failed=False)),
    ]


def test_every_fault_of_a_batch_is_named() -> None:
    bad_turn = TurnEvent(duration=Duration(seconds=-1), saved_usd_micros=-1)
    bad_call = ModelCallEvent(model="", cost_usd_micros=-1, usage=types_pb2.TokenUsage(output_tokens=-1))
    events = [event(turn=bad_turn), event(model_call=bad_call), UsageEvent(), event(turn=TurnEvent(), tenant_id="a}b")]

    assert faults(ReportUsageRequest(request_id="no", events=events)) == {
        "request_id",
        "events[0].turn.duration",
        "events[0].turn.saved_usd_micros",
        "events[1].model_call.model",
        "events[1].model_call.cost_usd_micros",
        "events[1].model_call.usage",
        "events[2].tenant_id",
        "events[2].event_time",
        "events[2].kind",
        "events[3].tenant_id",
    }


def test_no_tenant_can_pass_for_all_of_them() -> None:
    assert faults(ReportUsageRequest(request_id=BATCH, events=[event(turn=TurnEvent(), tenant_id="all")])) == {
        "events[0].tenant_id"
    }


@pytest.mark.parametrize("count", [0, 5001])
def test_a_batch_has_one_to_five_thousand_events(count: int) -> None:
    assert faults(ReportUsageRequest(request_id=BATCH, events=[UsageEvent()] * count)) == {"events"}


def test_a_hopeless_batch_names_its_first_faults_only() -> None:
    assert len(faults(ReportUsageRequest(request_id=BATCH, events=[UsageEvent()] * 5000))) == 20


@pytest.mark.parametrize("seconds", [10, 86400])
def test_windows_within_the_limits_pass(seconds: int) -> None:
    convert.validate_overview(GetOverviewRequest(window=Duration(seconds=seconds)))


def test_no_window_means_five_minutes() -> None:
    convert.validate_overview(GetOverviewRequest())
    assert convert.window_seconds(GetOverviewRequest()) == 300


@pytest.mark.parametrize("seconds", [-1, 0, 9, 86401])
def test_other_windows_are_named_as_the_fault(seconds: int) -> None:
    with pytest.raises(MeshError) as raised:
        convert.validate_overview(GetOverviewRequest(window=Duration(seconds=seconds)))
    assert [violation.field for violation in raised.value.violations] == ["window"]


def test_an_overview_is_answered_with_its_sums_and_points() -> None:
    planned = plan(NOW + 2.5, 10)
    tally = Tally()
    tally.add(Event("ta", NOW, Turn(100.0, cache_hit=True, saved_usd_micros=9)))
    tally.add(Event("ta", NOW, ModelCall("claude-haiku-5-5", Tokens(1, 2, 3, 4), 5)))
    response = convert.overview_response(summarise(planned, NOW + 2.5, [(planned.slices()[-1], tally)]))

    assert (response.turn_count, response.cache_hit_count, response.error_count) == (1, 1, 0)
    assert (response.cost_usd_micros, response.saved_usd_micros, response.usage.output_tokens) == (5, 9, 2)
    assert response.p99_ms == pytest.approx(100, rel=0.05)
    assert [point.turn_count for point in response.points] == [0, 0, 1]
    assert response.points[-1].start_time.seconds == NOW
    assert response.window.ToTimedelta().total_seconds() == 12.5
    assert [(part.model, part.call_count) for part in response.models] == [("claude-haiku-5-5", 1)]
