"""Between the contract's messages and the domain's words."""

from typing import Final

from google.protobuf.duration_pb2 import Duration

from agentmesh.model_router.v1.model_router_pb2 import Finished, GenerateRequest, GenerateResponse, ListModelsResponse
from agentmesh.model_router.v1.model_router_pb2 import Hop as HopMessage
from agentmesh.model_router.v1.model_router_pb2 import Model as ModelMessage
from agentmesh.model_router.v1.model_router_pb2 import StopReason as StopReasonEnum
from agentmesh.types.v1.types_pb2 import ChatMessage, ModelTier, TokenUsage
from libs.core.errors import FieldViolation, invalid_fields
from libs.core.ids import is_uuid
from services.model_router.models import Catalogue, Model
from services.model_router.outcome import Generated, Hop, Usage
from services.model_router.prompt import GenerationRequest, Message, Role, Tier

_MOST_MESSAGES: Final = 10_000
_MOST_TOKENS: Final = 128_000
_MOST_FAULTS: Final = 20
_ROLES: Final = {role.value: role for role in Role}
_TIERS: Final = {tier.value: tier for tier in Tier}


def validate_generate(request: GenerateRequest) -> None:
    """Raises INVALID_FIELD naming every faulty field."""
    faults = []
    if not is_uuid(request.request_id):
        faults.append(FieldViolation("request_id", "must be a UUID"))
    if not 1 <= len(request.messages) <= _MOST_MESSAGES:
        faults.append(FieldViolation("messages", f"must be 1 to {_MOST_MESSAGES:,} messages"))
    else:
        faults.extend(_message_faults(request))
    if request.tier and request.tier not in _TIERS:
        faults.append(FieldViolation("tier", "not a tier"))
    if not 0 <= request.max_tokens <= _MOST_TOKENS:
        faults.append(FieldViolation("max_tokens", f"must be 0 to {_MOST_TOKENS:,}"))
    # Written so that NaN is a fault too.
    if request.HasField("temperature") and not 0.0 <= request.temperature <= 1.0:
        faults.append(FieldViolation("temperature", "must be 0 to 1"))
    if faults:
        raise invalid_fields(faults)


def _message_faults(request: GenerateRequest) -> list[FieldViolation]:
    faults: list[FieldViolation] = []
    for index, message in enumerate(request.messages):
        if message.role not in _ROLES:
            faults.append(FieldViolation(f"messages[{index}].role", "must be USER or ASSISTANT"))
        # The provider refuses blank text.
        if not message.content or message.content.isspace():
            faults.append(FieldViolation(f"messages[{index}].content", "must not be empty"))
        if len(faults) >= _MOST_FAULTS:
            return faults
    last = len(request.messages) - 1
    if request.messages[last].role == Role.ASSISTANT.value:
        faults.append(FieldViolation(f"messages[{last}].role", "the last message must be the user's"))
    return faults


def to_request(message: GenerateRequest) -> GenerationRequest:
    """A request that `validate_generate` let pass."""
    return GenerationRequest(
        request_id=message.request_id,
        messages=tuple(_message(part) for part in message.messages),
        system_prompt=message.system_prompt,
        tier=_TIERS.get(message.tier),
        model=message.model,
        max_tokens=message.max_tokens,
        temperature=message.temperature if message.HasField("temperature") else None,
    )


def _message(message: ChatMessage) -> Message:
    return Message(_ROLES[message.role], message.content)


def from_text(text: str) -> GenerateResponse:
    """A part of the answer that is not the last."""
    return GenerateResponse(text=text)


def from_end(text: str, end: Generated) -> GenerateResponse:
    """The last part of the answer."""
    return GenerateResponse(
        text=text,
        finished=Finished(
            model=end.model,
            stop_reason=StopReasonEnum.ValueType(end.stop_reason.value),
            usage=_usage(end.usage),
            cost_usd_micros=end.cost_usd_micros,
            hops=[_hop(hop) for hop in end.hops],
            time_to_first_text=_duration(end.time_to_first_text),
        ),
    )


def from_catalogue(catalogue: Catalogue) -> ListModelsResponse:
    """The catalogue, with the prices of each model's shortest prompts."""
    return ListModelsResponse(models=[_model(model, catalogue) for model in catalogue.models.values()])


def _model(model: Model, catalogue: Catalogue) -> ModelMessage:
    prices = model.prices[0]
    return ModelMessage(
        model=model.name,
        provider=model.provider,
        tiers=[ModelTier.ValueType(tier.value) for tier in catalogue.tiers_of(model.name)],
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        input_usd_micros_per_million=prices.input,
        output_usd_micros_per_million=prices.output,
        cache_read_usd_micros_per_million=prices.cache_read,
        cache_write_usd_micros_per_million=prices.cache_write,
    )


def _hop(hop: Hop) -> HopMessage:
    return HopMessage(
        model=hop.model,
        failure=hop.failure,
        duration=_duration(hop.duration),
        cost_usd_micros=hop.cost_usd_micros,
    )


def _usage(usage: Usage) -> TokenUsage:
    return TokenUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
    )


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
