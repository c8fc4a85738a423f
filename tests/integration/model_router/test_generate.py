import grpc
import pytest

from agentmesh.model_router.v1.model_router_pb2 import (
    STOP_REASON_END_TURN,
    STOP_REASON_MAX_TOKENS,
    GenerateRequest,
    ListModelsRequest,
)
from agentmesh.types.v1.types_pb2 import MODEL_TIER_DEEP, MODEL_TIER_FAST
from libs.core.errors import Reason
from libs.mesh.errors import decode
from services.model_simulator.answers import LABEL
from tests.integration.model_router.conftest import METADATA, Monitoring, Routed, routed

FAST = ("claude-haiku-5-5", "claude-haiku-4-5")
BALANCED = "claude-sonnet-5-5"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer(router: Routed, stream: bool) -> None:
    answer = await router.ask(stream=stream)
    finished = answer.responses[-1].finished
    assert answer.text.startswith(LABEL)
    assert (finished.model, finished.stop_reason) == (BALANCED, STOP_REASON_END_TURN)
    assert finished.usage.input_tokens > 0
    assert finished.usage.output_tokens > 0
    # $2 and $10 a million.
    assert finished.cost_usd_micros == finished.usage.input_tokens * 2 + finished.usage.output_tokens * 10
    assert answer.hops == [(BALANCED, "")]


async def test_streamed_or_not_the_answer_is_the_same(router: Routed) -> None:
    whole, streamed = await router.ask(tier=MODEL_TIER_FAST), await router.ask(tier=MODEL_TIER_FAST, stream=True)
    assert whole.hops == streamed.hops == [(FAST[0], "")]
    assert whole.text == streamed.text
    assert whole.responses[-1].finished.usage == streamed.responses[-1].finished.usage
    assert len(whole.responses) == 1


async def test_a_stream_costs_fewer_messages_than_tokens() -> None:
    async with routed({"output_token_ms": 2}, stream_interval=0.05) as router:
        answer = await router.ask(stream=True)
        finished = answer.responses[-1].finished
        assert 2 < len(answer.responses) < finished.usage.output_tokens / 3
        # The first text did not wait for company.
        assert len(answer.responses[0].text) < len(answer.text) / 4
        assert finished.time_to_first_text.ToMilliseconds() < finished.hops[0].duration.ToMilliseconds() / 2


async def test_options_reach_the_model(router: Routed) -> None:
    answer = await router.ask(model=FAST[1], max_tokens=5, temperature=0.5)
    finished = answer.responses[-1].finished
    assert (finished.model, finished.stop_reason) == (FAST[1], STOP_REASON_MAX_TOKENS)
    assert finished.usage.output_tokens == 5


async def test_long_instructions_are_paid_in_full_once(router: Routed) -> None:
    system_prompt = "You answer questions about circuit breakers. " * 200
    first = (await router.ask("One?", system_prompt=system_prompt)).responses[-1].finished
    second = (await router.ask("Two?", system_prompt=system_prompt)).responses[-1].finished
    assert first.usage.cache_creation_input_tokens == second.usage.cache_read_input_tokens > 1000
    assert second.cost_usd_micros < first.cost_usd_micros / 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "label"),
    [(429, "rate_limit_error"), (500, "api_error"), (504, "timeout_error"), (529, "overloaded_error")],
)
async def test_a_model_that_fails_is_replaced(router: Routed, status: int, label: str, stream: bool) -> None:
    await router.fault(kind="status", status=status, model=FAST[0])
    answer = await router.ask(stream=stream, tier=MODEL_TIER_FAST)
    assert answer.text.startswith(LABEL)
    assert answer.hops == [(FAST[0], label), (FAST[1], "")]
    fallbacks = router.metric("agentmesh_router_fallbacks_total", gen_ai_request_model=FAST[0], reason=label)
    assert fallbacks == 1.0


async def test_a_stream_that_fails_before_its_first_text_is_replaced(router: Routed) -> None:
    await router.fault(kind="error_in_stream", status=529, after_tokens=0, model=FAST[0])
    answer = await router.ask(stream=True, tier=MODEL_TIER_FAST)
    assert answer.hops == [(FAST[0], "overloaded_error"), (FAST[1], "")]
    # Its prompt had been counted, so it is paid.
    assert answer.responses[-1].finished.hops[0].cost_usd_micros > 0


@pytest.mark.parametrize(("stream", "label"), [(False, "malformed_response"), (True, "malformed_response")])
async def test_an_answer_that_cannot_be_read_is_replaced(router: Routed, stream: bool, label: str) -> None:
    await router.fault(kind="malformed", after_tokens=0, model=FAST[0])
    answer = await router.ask(stream=stream, tier=MODEL_TIER_FAST)
    assert answer.hops == [(FAST[0], label), (FAST[1], "")]


async def test_a_model_that_hangs_is_replaced() -> None:
    async with routed(first_text_timeout=0.2, answer_timeout=0.3) as router:
        await router.fault(kind="hang", model=FAST[0])
        streamed = await router.ask(stream=True, tier=MODEL_TIER_FAST)
        whole = await router.ask(tier=MODEL_TIER_FAST)
        assert streamed.hops == whole.hops == [(FAST[0], "timeout"), (FAST[1], "")]
        await router.until(lambda statistics: statistics["in_flight"] == 0)


@pytest.mark.parametrize("fault", ["cut_stream", "error_in_stream", "malformed"])
async def test_after_the_first_text_a_failure_ends_the_stream(router: Routed, fault: str) -> None:
    await router.fault(kind=fault, status=529, after_tokens=8)
    responses = aiter(router.call(stream=True))
    assert (await anext(responses)).text
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [response async for response in responses]
    assert decode(caught.value, "test").reason is Reason.MODEL_STREAM_BROKEN


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 401}, Reason.MODEL_REFUSED_KEY),
        ({"status": 403}, Reason.MODEL_REFUSED_KEY),
        ({"status": 400}, Reason.MODEL_REJECTED),
        ({"status": 402}, Reason.SPEND_LIMIT_REACHED),
        ({"status": 413}, Reason.CONTEXT_TOO_LONG),
        ({"status": 429, "error_code": "enforced_spend_limit_reached"}, Reason.SPEND_LIMIT_REACHED),
    ],
    ids=lambda value: str(value.get("error_code", value["status"])) if isinstance(value, dict) else "",
)
async def test_what_no_other_model_would_take_is_asked_once(
    router: Routed, fault: dict[str, object], reason: Reason
) -> None:
    await router.fault(kind="status", count=1, **fault)
    assert (await router.refused()).reason is reason
    assert (await router.ask()).text


async def test_when_every_model_is_limited_the_caller_learns_for_how_long(router: Routed) -> None:
    await router.fault(kind="status", status=429, seconds=9)
    error = await router.refused(tier=MODEL_TIER_DEEP)
    assert (error.reason, error.retry_after) == (Reason.MODEL_RATE_LIMITED, 9.0)
    error = await router.refused(model=FAST[0], stream=True)
    assert (error.reason, error.retry_after) == (Reason.MODEL_RATE_LIMITED, 9.0)


async def test_a_provider_that_is_not_there() -> None:
    async with routed(anthropic_base_url="http://127.0.0.1:1") as router:
        assert (await router.refused()).reason is Reason.MODEL_UNAVAILABLE
        assert (await router.refused(stream=True)).reason is Reason.MODEL_UNAVAILABLE


async def test_the_deadline_holds_for_the_provider_too(router: Routed) -> None:
    await router.fault(kind="hang")
    assert (await router.refused(timeout=0.3)).reason is Reason.DEADLINE_TOO_SHORT
    await router.until(lambda statistics: statistics["in_flight"] == 0)


async def test_a_caller_who_leaves_in_mid_stream_cancels_the_model_and_is_accounted() -> None:
    monitoring = Monitoring()
    async with routed({"output_token_ms": 20}, monitoring) as router:
        call = router.call(stream=True)
        async for _ in call:
            break
        call.cancel()
        await router.until(lambda statistics: statistics["in_flight"] == 0)
        await router.until(lambda statistics: statistics["cancelled_by_client"] == 1)
    ((tenant, event),) = monitoring.calls
    assert (tenant, event.model, event.error_reason) == ("t1", BALANCED, "CANCELLED")
    assert event.usage.input_tokens > 0
    assert event.usage.output_tokens > 0
    assert event.cost_usd_micros == event.usage.input_tokens * 2 + event.usage.output_tokens * 10
    spent = router.metric("agentmesh_router_cost_usd_micros_total", gen_ai_request_model=BALANCED)
    assert spent == event.cost_usd_micros


async def test_a_caller_who_leaves_before_an_answer_in_one_piece_is_accounted() -> None:
    monitoring = Monitoring()
    async with routed({"output_token_ms": 20}, monitoring) as router:
        call = router.call()
        await router.until(lambda statistics: statistics["in_flight"] == 1)
        call.cancel()
        await router.until(lambda statistics: statistics["cancelled_by_client"] == 1)
    ((tenant, event),) = monitoring.calls
    assert (tenant, event.model, event.error_reason) == ("t1", BALANCED, "CANCELLED")
    assert event.cost_usd_micros == event.usage.input_tokens * 2 > 0


async def test_usage_is_reported() -> None:
    monitoring = Monitoring()
    async with routed(monitoring=monitoring) as router:
        await router.fault(kind="status", status=529, model=FAST[0])
        finished = (await router.ask(tier=MODEL_TIER_FAST)).responses[-1].finished
        await router.refused(model=FAST[0])
    (_, answered), (_, failed) = monitoring.calls
    assert (answered.model, answered.fallback_count, answered.error_reason) == (FAST[1], 1, "")
    assert answered.usage == finished.usage
    assert answered.cost_usd_micros == finished.cost_usd_micros
    assert (failed.model, failed.fallback_count, failed.error_reason) == (FAST[0], 0, "MODEL_UNAVAILABLE")


async def test_above_the_limit_calls_are_shed() -> None:
    async with routed({"output_token_ms": 50}, max_upstream_calls=1, max_upstream_wait=0) as router:
        first = router.call(stream=True)
        await anext(aiter(first))
        error = await router.refused()
        assert (error.reason, error.retry_after) == (Reason.OVERLOADED, 1.0)
        first.cancel()


async def test_a_model_that_is_not_in_the_catalogue(router: Routed) -> None:
    error = await router.refused(model="claude-2")
    assert error.reason is Reason.UNKNOWN_MODEL
    assert [violation.field for violation in error.violations] == ["model"]


async def test_a_prompt_that_no_model_can_read(router: Routed) -> None:
    error = await router.refused(text="x" * 750_000, model=FAST[1])
    assert error.reason is Reason.CONTEXT_TOO_LONG
    assert "214" in error.message


async def test_a_faulty_request_names_its_fields(router: Routed) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in router.stub.Generate(GenerateRequest(max_tokens=-1), metadata=METADATA):  # type: ignore[attr-defined]
            pass
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "request_id" in (caught.value.details() or "")
    assert "max_tokens" in (caught.value.details() or "")


async def test_the_catalogue(router: Routed) -> None:
    response = await router.stub.ListModels(ListModelsRequest(), metadata=METADATA)  # type: ignore[misc]  # the stub is an async one
    assert {*FAST, BALANCED} < {model.model for model in response.models}
