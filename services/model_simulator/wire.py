"""The JSON bodies of Anthropic's API."""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from services.model_simulator.catalogue import Model
from services.model_simulator.completion import Completion
from services.model_simulator.errors import ApiError
from services.model_simulator.usage import InputUsage

# Release dates are nobody's business here; the API's own word for "unknown" is the epoch.
_RELEASED: Final = "1970-01-01T00:00:00Z"


def usage_fields(usage: InputUsage, output_tokens: int) -> dict[str, object]:
    """`usage` as messages carry it."""
    return {
        "input_tokens": usage.uncached,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.written_5m,
            "ephemeral_1h_input_tokens": usage.written_1h,
        },
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def message_fields(
    message_id: str, model: str, usage: InputUsage, output_tokens: int, completion: Completion | None = None
) -> dict[str, object]:
    """A message; without `completion` as it looks when a stream starts."""
    text = completion.text if completion else ""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": completion.stop_reason if completion else None,
        "stop_sequence": completion.stop_sequence if completion else None,
        "usage": usage_fields(usage, output_tokens),
    }


def message(message_id: str, model: str, usage: InputUsage, completion: Completion) -> bytes:
    """The body of an answer that is not streamed."""
    return orjson.dumps(message_fields(message_id, model, usage, completion.tokens, completion))


def error_fields(error: ApiError, request_id: str) -> dict[str, object]:
    """An error, as a body or as the data of an `error` event."""
    detail: dict[str, object] = {"type": error.kind, "message": error.message}
    if error.code:
        detail["details"] = {"error_code": error.code}
    return {"type": "error", "error": detail, "request_id": request_id}


def error_body(error: ApiError, request_id: str) -> bytes:
    """The body of a refusal."""
    return orjson.dumps(error_fields(error, request_id))


def token_count(tokens: int) -> bytes:
    """The body of count_tokens."""
    return orjson.dumps({"input_tokens": tokens})


def model_body(model: Model) -> bytes:
    """The body of one model."""
    return orjson.dumps(_model_fields(model))


def model_list(models: Sequence[Model], *, has_more: bool) -> bytes:
    """One page of models."""
    return orjson.dumps(
        {
            "data": [_model_fields(model) for model in models],
            "has_more": has_more,
            "first_id": models[0].id if models else None,
            "last_id": models[-1].id if models else None,
        }
    )


def _model_fields(model: Model) -> Mapping[str, object]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": _RELEASED,
        "lifecycle": "active",
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
    }
