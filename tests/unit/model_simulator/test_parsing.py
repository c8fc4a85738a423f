import pytest

from libs.core.tokens import estimate_message_tokens, estimate_tokens
from services.model_simulator.errors import ApiError
from services.model_simulator.parsing import check_size, parse_call
from tests.unit.model_simulator.builders import body, call

USER = {"role": "user", "content": "Hello"}
MARK = {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": None}, "model: Field required"),
        ({"model": ""}, "model: "),
        ({"model": 5}, "model: Input should be a valid string"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater"),
        ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": "Hello"}, "messages: Input should be a valid list"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: Unexpected role 'robot'"),
        ({"messages": [{"content": "x"}]}, "messages.0.role: Unexpected role None"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0: user messages must have non-empty content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages.0: user messages must have non-empty content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: Input should be a string or a list"),
        ({"messages": [{"role": "user", "content": [{"type": "song"}]}]}, "messages.0.content.0: Input tag 'song'"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text.text: Field"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 'messages: first message must use the "user" role'),
        ({"messages": [USER, {"role": "assistant", "content": "x "}]}, "cannot end with trailing whitespace"),
        ({"system": 5}, "system: Input should be a string"),
        ({"system": [{"type": "image"}]}, "system.0: Input tag 'image'"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"temperature": 2}, "temperature: range: 0..1"),
        ({"stop_sequences": "x"}, "stop_sequences: Input should be a valid list"),
        ({"stop_sequences": [" "]}, "stop_sequences.0: each stop sequence must contain non-whitespace"),
        ({"tools": [{"description": "x"}]}, "tools.0.name: Field required"),
        ({"max_token": 5}, "max_token: Extra inputs are not permitted"),
        ({"cache_control": {"type": "eternal"}}, "request.cache_control.type"),
        (
            {"system": [{"type": "text", "text": "x", "cache_control": {**MARK, "ttl": "2h"}}]},
            "system.0.cache_control.ttl",
        ),
        ({"system": [{"type": "text", "text": "x", "cache_control": MARK}] * 5}, "Found 5."),
    ],
)
def test_names_what_is_wrong(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ApiError) as error:
        call(**fields)
    assert error.value.status == 400
    assert message in error.value.message


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff"])
def test_refuses_what_is_not_a_json_object(raw: bytes) -> None:
    with pytest.raises(ApiError, match=r"not valid JSON|not a JSON object"):
        parse_call(raw)


def test_counts_every_part_of_the_prompt() -> None:
    asked = call(system="Be brief.", tools=[{"name": "clock", "input_schema": {}}])
    tool = '{"name":"clock","input_schema":{}}'
    assert asked.input_tokens == sum(
        (estimate_tokens("Be brief."), estimate_tokens(tool), estimate_message_tokens("Hello"))
    )


def test_blocks_and_strings_mean_the_same() -> None:
    text = call(messages=[USER])
    blocks = call(messages=[{"role": "user", "content": [{"type": "text", "text": "Hello"}]}])
    assert text.prompt == blocks.prompt
    assert text.input_tokens == blocks.input_tokens


def test_takes_pictures_and_tool_results() -> None:
    asked = call(
        messages=[
            {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x/y"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "clock", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "It is noon."}]},
        ]
    )
    assert asked.prompt.question == "It is noon."
    assert asked.input_tokens > 1600


def test_the_question_is_what_nobody_answered_yet() -> None:
    messages = [
        USER,
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "A"},
        {"role": "user", "content": "B"},
    ]
    assert call(messages=messages).prompt.question == "A\nB"


def test_counting_needs_no_max_tokens() -> None:
    assert parse_call(body(max_tokens=None), counting=True).input_tokens > 0


def test_refuses_what_is_too_long_for_the_model() -> None:
    with pytest.raises(ApiError, match="max_tokens: 100 > 50"):
        check_size(call(), 1000, 50)
    with pytest.raises(ApiError, match="prompt is too long"):
        check_size(call(), 3, 100)
