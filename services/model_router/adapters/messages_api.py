"""Anthropic's Messages API as bytes: requests out of calls, answers and stream events into the domain's words.

The SDK's typed models cost a third of a call's processor time and are not needed to read five fields; so the body is
written and read here (https://platform.claude.com/docs/en/api/messages) and the SDK does the rest.
"""

from collections.abc import Mapping
from typing import Final

import orjson

from services.model_router.failures import MALFORMED, Failure, classify
from services.model_router.outcome import StopReason, Usage
from services.model_router.ports import Completion, Listener, ModelCall, ProviderError
from services.model_router.prompt import Role, worth_caching

_ROLES: Final[Mapping[Role, str]] = {Role.USER: "user", Role.ASSISTANT: "assistant"}
_NOTHING: Final = Usage()
_STOP_REASONS: Final[Mapping[str, StopReason]] = {
    "end_turn": StopReason.END_TURN,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.REFUSAL,
}


def request_body(call: ModelCall, *, stream: bool) -> bytes:
    """The JSON body that asks for `call`."""
    request = call.request
    body: dict[str, object] = {
        "model": call.model.name,
        "max_tokens": call.max_tokens,
        "messages": [{"role": _ROLES[message.role], "content": message.content} for message in request.messages],
    }
    if request.system_prompt:
        body["system"] = _system(request.system_prompt)
    if call.temperature is not None:
        body["temperature"] = call.temperature
    if call.model.thinking:
        body["thinking"] = {"type": call.model.thinking}
    if stream:
        body["stream"] = True
    return orjson.dumps(body)


def _system(prompt: str) -> object:
    if worth_caching(prompt):
        return [{"type": "text", "text": prompt, "cache_control": {"type": "ephemeral"}}]
    return prompt


def completion(body: bytes) -> Completion:
    """The answer in a response's body; raises ProviderError (MALFORMED) if it is none."""
    message = _object(body)
    return Completion(
        _text(message.get("content")), stop_reason(message.get("stop_reason")), usage(message.get("usage"))
    )


def _text(blocks: object) -> str:
    if not isinstance(blocks, list):
        raise ProviderError(MALFORMED)
    # Thinking comes in blocks of its own.
    parts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return "".join(part for part in parts if isinstance(part, str))


def stop_reason(word: object) -> StopReason:
    """Why the model stopped; UNSPECIFIED for words that are not ours."""
    return _STOP_REASONS.get(word, StopReason.UNSPECIFIED) if isinstance(word, str) else StopReason.UNSPECIFIED


def usage(fields: object, before: Usage = _NOTHING) -> Usage:
    """Tokens as the provider counted them so far; what this report leaves out stays as `before`."""
    if not isinstance(fields, dict):
        raise ProviderError(MALFORMED)
    return Usage(
        _count(fields.get("input_tokens"), before.input_tokens),
        _count(fields.get("output_tokens"), before.output_tokens),
        _count(fields.get("cache_read_input_tokens"), before.cache_read_input_tokens),
        _count(fields.get("cache_creation_input_tokens"), before.cache_creation_input_tokens),
    )


def _count(value: object, before: int) -> int:
    return value if isinstance(value, int) and value >= 0 else before


class StreamReader:
    """Follows the events of one streamed answer and tells the listener."""

    __slots__ = ("_listener", "_stop_reason", "_usage", "finished")

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._stop_reason = StopReason.UNSPECIFIED
        self._usage = Usage()
        self.finished = False
        """Whether the answer came to its regular end."""

    def read(self, name: str | None, data: str) -> bool:
        """Take in an event; whether it is a sign of the answer (text or thinking). Raises ProviderError."""
        if name == "content_block_delta":
            return self._delta(_object(data))
        if name == "message_start":
            self._count(_part(_object(data), "message"))
        elif name == "message_delta":
            event = _object(data)
            self._count(event)
            self._stop_reason = stop_reason(_part(event, "delta").get("stop_reason"))
        elif name == "message_stop":
            self.finished = True
        elif name == "error":
            raise ProviderError(stream_failure(data))
        return False

    def completion(self) -> Completion:
        """The answer's end."""
        return Completion("", self._stop_reason, self._usage)

    def _delta(self, event: dict[str, object]) -> bool:
        delta = _part(event, "delta")
        text = delta.get("text")
        if isinstance(text, str) and text:
            self._listener.wrote(text)
            return True
        thinking = delta.get("thinking")
        if isinstance(thinking, str) and thinking:
            self._listener.thought(thinking)
        return True

    def _count(self, event: dict[str, object]) -> None:
        self._usage = usage(event.get("usage"), self._usage)
        self._listener.counted(self._usage)


def stream_failure(data: str) -> Failure:
    """What an `error` event means; it comes inside an answer whose HTTP status is 200."""
    return failure_of(200, _parsed(data))


def failure_of(status: int, body: object, retry_after: float | None = None) -> Failure:
    """What an error answer means, by its parsed body, which may be anything."""
    error = body.get("error") if isinstance(body, dict) else None
    fields: dict[str, object] = error if isinstance(error, dict) else {}
    details = fields.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return classify(status, str(fields.get("type") or ""), str(code or ""), retry_after)


def _part(event: dict[str, object], name: str) -> dict[str, object]:
    part = event.get(name)
    if not isinstance(part, dict):
        raise ProviderError(MALFORMED)
    return part


def _parsed(data: str | bytes) -> object:
    try:
        parsed: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return parsed


def _object(data: str | bytes) -> dict[str, object]:
    parsed = _parsed(data)
    if not isinstance(parsed, dict):
        raise ProviderError(MALFORMED)
    return parsed
