"""From a request's body to a `Call`, or to the 400 that names what is wrong with it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson

from libs.core.tokens import estimate_tokens
from services.model_simulator.call import Call, Prompt, Segment, Turn
from services.model_simulator.content import Content, cache_ttl, read_content
from services.model_simulator.errors import ApiError, bad_request

# What Anthropic's API takes; anything else it refuses, so that a misspelt field is noticed.
_FIELDS: Final = frozenset(
    {"model", "messages", "max_tokens", "system", "stream", "stop_sequences", "temperature", "top_k", "top_p"}
    | {"tools", "tool_choice", "thinking", "metadata", "cache_control", "output_config", "output_format"}
    | {"service_tier", "speed", "container", "context_management", "diagnostics", "inference_geo", "mcp_servers"}
    | {"user_profile_id"}
)
_ROLES: Final = frozenset({"user", "assistant", "system"})
_MAX_MESSAGES: Final = 100_000
_MAX_CACHE_MARKS: Final = 4


def parse_body(body: bytes) -> Mapping[str, object]:
    """The JSON object a request carries; 400 if it carries something else."""
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad_request("The request body is not a JSON object")
    return value


def parse_call(body: bytes, *, counting: bool = False) -> Call:
    """The request for a message in `body`.

    Args:
        body: a JSON object as POST /v1/messages takes it.
        counting: for count_tokens, which has no max_tokens.

    Raises:
        ApiError: 400, naming the first thing that is wrong.
    """
    fields = parse_body(body)
    for name in fields:
        if name not in _FIELDS:
            raise bad_request(f"{name[:100]}: Extra inputs are not permitted")
    model = _model(fields)
    max_tokens = 0 if counting else _max_tokens(fields)
    _check_sampling(fields)
    system = _system(fields.get("system"))
    turns, segments = _messages(fields.get("messages"))
    return Call(
        prompt=Prompt(model, system.text, turns),
        segments=_marked((*_tools(fields.get("tools")), *system.segments, *segments), fields.get("cache_control")),
        max_tokens=max_tokens,
        stop_sequences=_stop_sequences(fields.get("stop_sequences")),
        stream=_stream(fields.get("stream")),
    )


def _model(fields: Mapping[str, object]) -> str:
    model = fields.get("model")
    if model is None:
        raise bad_request("model: Field required")
    if not isinstance(model, str):
        raise bad_request("model: Input should be a valid string")
    if not model:
        raise bad_request("model: String should have at least 1 character")
    return model


def _max_tokens(fields: Mapping[str, object]) -> int:
    value = fields.get("max_tokens")
    if value is None:
        raise bad_request("max_tokens: Field required")
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_request("max_tokens: Input should be a valid integer")
    if value < 0:
        raise bad_request("max_tokens: Input should be greater than or equal to 0")
    return value


def _check_sampling(fields: Mapping[str, object]) -> None:
    for name in ("temperature", "top_p"):
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise bad_request(f"{name}: Input should be a valid number")
        if not 0 <= value <= 1:
            raise bad_request(f"{name}: range: 0..1")


def _system(value: object) -> Content:
    if value is None or value == "":
        return Content("", ())
    return read_content(value, "system", only_text=True)


def _stream(value: object) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise bad_request("stream: Input should be a valid boolean")
    return value


def _stop_sequences(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad_request("stop_sequences: Input should be a valid list")
    sequences: list[str] = []
    for index, sequence in enumerate(value):
        if not isinstance(sequence, str):
            raise bad_request(f"stop_sequences.{index}: Input should be a valid string")
        if not sequence.strip():
            raise bad_request(f"stop_sequences.{index}: each stop sequence must contain non-whitespace")
        sequences.append(sequence)
    return tuple(sequences)


def _tools(value: object) -> Iterable[Segment]:
    if value is None:
        return
    if not isinstance(value, list):
        raise bad_request("tools: Input should be a valid list")
    for index, tool in enumerate(value):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise bad_request(f"tools.{index}.name: Field required")
        raw = orjson.dumps({key: part for key, part in tool.items() if key != "cache_control"}).decode()
        yield Segment(raw, estimate_tokens(raw), cache_ttl(tool.get("cache_control"), f"tools.{index}"))


def _messages(value: object) -> tuple[tuple[Turn, ...], list[Segment]]:
    if value is None:
        raise bad_request("messages: Field required")
    if not isinstance(value, list):
        raise bad_request("messages: Input should be a valid list")
    if not value:
        raise bad_request("messages: at least one message is required")
    if len(value) > _MAX_MESSAGES:
        raise bad_request(f"messages: at most {_MAX_MESSAGES} messages are allowed")
    turns: list[Turn] = []
    segments: list[Segment] = []
    for index, message in enumerate(value):
        turn, content = _message(message, f"messages.{index}", last=index == len(value) - 1)
        turns.append(turn)
        segments += content.segments
    if next((turn.role for turn in turns if turn.role != "system"), "") != "user":
        raise bad_request('messages: first message must use the "user" role')
    return tuple(turns), segments


def _message(message: object, where: str, *, last: bool) -> tuple[Turn, Content]:
    if not isinstance(message, dict):
        raise bad_request(f"{where}: Input should be an object")
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise bad_request(f'{where}.role: Unexpected role {role!r}. Allowed roles are "user" or "assistant"')
    if "content" not in message:
        raise bad_request(f"{where}.content: Field required")
    value = message["content"]
    content = read_content(value, f"{where}.content", role=role, only_text=role == "system")
    if not (content.text.strip() or (isinstance(value, list) and _has_more_than_text(value))):
        raise bad_request(f"{where}: {role} messages must have non-empty content")
    if last and role == "assistant" and content.text != content.text.rstrip():
        raise bad_request("messages: final assistant content cannot end with trailing whitespace")
    return Turn(role, content.text), content


def _has_more_than_text(blocks: Sequence[Mapping[str, object]]) -> bool:
    return any(block["type"] != "text" for block in blocks)


def _marked(segments: tuple[Segment, ...], top_level: object) -> tuple[Segment, ...]:
    ttl = cache_ttl(top_level, "request")
    if ttl:
        last = segments[-1]
        segments = (*segments[:-1], Segment(last.text, last.tokens, last.ttl or ttl))
    marks = sum(1 for segment in segments if segment.ttl)
    if marks > _MAX_CACHE_MARKS:
        message = f"A maximum of {_MAX_CACHE_MARKS} blocks with cache_control may be provided. Found {marks}."
        raise bad_request(message)
    return segments


def check_size(call: Call, context_tokens: int, max_output_tokens: int) -> None:
    """400 if the prompt or the answer asked for is longer than the model allows."""
    if call.max_tokens > max_output_tokens:
        raise bad_request(
            f"max_tokens: {call.max_tokens} > {max_output_tokens}, which is the maximum allowed number of output "
            f"tokens for {call.prompt.model}"
        )
    if call.input_tokens > context_tokens:
        raise ApiError(400, f"prompt is too long: {call.input_tokens} tokens > {context_tokens} maximum")
