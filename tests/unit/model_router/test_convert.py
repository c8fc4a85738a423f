import math

import pytest

from agentmesh.model_router.v1.model_router_pb2 import GenerateRequest
from agentmesh.model_router.v1.model_router_pb2 import StopReason as StopReasonEnum
from agentmesh.types.v1.types_pb2 import (
    MODEL_TIER_BALANCED,
    MODEL_TIER_DEEP,
    MODEL_TIER_FAST,
    ROLE_ASSISTANT,
    ROLE_USER,
    ChatMessage,
    ModelTier,
)
from libs.core.errors import MeshError
from libs.core.money import UsdMicros
from services.model_router.catalogue import load
from services.model_router.convert import from_catalogue, from_end, to_request, validate_generate
from services.model_router.outcome import Generated, Hop, StopReason, Usage
from services.model_router.prompt import GenerationRequest, Message, Role, Tier
from tests.unit.model_router.builders import REQUEST_ID

HELLO = ChatMessage(role=ROLE_USER, content="hello")


def fields(request: GenerateRequest) -> list[str]:
    with pytest.raises(MeshError) as caught:
        validate_generate(request)
    return [violation.field for violation in caught.value.violations]


def test_a_full_request() -> None:
    answer = ChatMessage(role=ROLE_ASSISTANT, content="hi")
    request = GenerateRequest(
        request_id=REQUEST_ID,
        messages=[HELLO, answer, HELLO],
        system_prompt="be kind",
        tier=MODEL_TIER_DEEP,
        max_tokens=128_000,
        temperature=1.0,
    )
    validate_generate(request)
    hello = Message(Role.USER, "hello")
    messages = (hello, Message(Role.ASSISTANT, "hi"), hello)
    assert to_request(request) == GenerationRequest(REQUEST_ID, messages, "be kind", Tier.DEEP, "", 128_000, 1.0)


def test_a_bare_request() -> None:
    request = GenerateRequest(request_id=REQUEST_ID, messages=[HELLO, HELLO])
    validate_generate(request)
    wanted = to_request(request)
    assert (wanted.tier, wanted.model, wanted.max_tokens, wanted.temperature) == (None, "", 0, None)


def test_every_fault_is_named_at_once() -> None:
    request = GenerateRequest(
        request_id="1",
        messages=[ChatMessage(content="x"), ChatMessage(role=ROLE_ASSISTANT, content=" \n")],
        tier=ModelTier.ValueType(9),
        max_tokens=-1,
        temperature=math.nan,
    )
    assert fields(request) == [
        "request_id",
        "messages[0].role",
        "messages[1].content",
        "messages[1].role",
        "tier",
        "max_tokens",
        "temperature",
    ]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (GenerateRequest(request_id=REQUEST_ID), "messages"),
        (GenerateRequest(request_id=REQUEST_ID, messages=[HELLO] * 10_001), "messages"),
        (GenerateRequest(request_id=REQUEST_ID, messages=[HELLO], max_tokens=128_001), "max_tokens"),
        (GenerateRequest(request_id=REQUEST_ID, messages=[HELLO], temperature=1.01), "temperature"),
    ],
)
def test_limits(request_: GenerateRequest, field: str) -> None:
    assert fields(request_) == [field]


def test_faults_of_a_long_conversation_are_cut_short() -> None:
    assert len(fields(GenerateRequest(request_id=REQUEST_ID, messages=[ChatMessage()] * 1000))) == 20


def test_the_end_of_an_answer() -> None:
    hops = (
        Hop("a", "overloaded_error", 1.5, None, Usage(), UsdMicros(0)),
        Hop("b", "", 2.25, 0.5, Usage(1, 2, 3, 4), UsdMicros(7)),
    )
    end = Generated("all", "b", StopReason.MAX_TOKENS, Usage(1, 2, 3, 4), UsdMicros(7), hops, 2.0)
    response = from_end("rest", end)
    finished = response.finished
    assert (response.text, finished.model, finished.cost_usd_micros) == ("rest", "b", 7)
    assert finished.stop_reason == StopReasonEnum.STOP_REASON_MAX_TOKENS
    assert (finished.usage.cache_read_input_tokens, finished.usage.cache_creation_input_tokens) == (3, 4)
    assert [(hop.model, hop.failure, hop.duration.ToMilliseconds()) for hop in finished.hops] == [
        ("a", "overloaded_error", 1500),
        ("b", "", 2250),
    ]
    assert finished.time_to_first_text.ToMilliseconds() == 2000


def test_the_enums_of_domain_and_contract_agree() -> None:
    assert {reason.name: reason.value for reason in StopReason} == {
        name.removeprefix("STOP_REASON_"): value for name, value in StopReasonEnum.items()
    }
    assert tuple(tier.value for tier in Tier) == (MODEL_TIER_FAST, MODEL_TIER_BALANCED, MODEL_TIER_DEEP)
    assert tuple(role.value for role in Role) == (ROLE_USER, ROLE_ASSISTANT)


def test_the_catalogue_is_shown_with_the_prices_of_short_prompts() -> None:
    models = {model.model: model for model in from_catalogue(load(None)).models}
    haiku = models["claude-haiku-5-5"]
    assert list(haiku.tiers) == [MODEL_TIER_FAST]
    assert (haiku.input_usd_micros_per_million, haiku.output_usd_micros_per_million) == (100_000, 500_000)
    assert (haiku.cache_read_usd_micros_per_million, haiku.cache_write_usd_micros_per_million) == (10_000, 125_000)
    assert haiku.provider == "anthropic"
