from dataclasses import replace

import orjson
import pytest

from services.model_router.adapters.messages_api import StreamReader, completion, request_body
from services.model_router.outcome import StopReason, Usage
from services.model_router.ports import Completion, Listener, ModelCall, Patience, ProviderError
from services.model_router.prompt import GenerationRequest
from tests.unit.model_router.builders import ask, model

PATIENCE = Patience(1.0, 1.0, 1.0)


class Heard(Listener):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.counts: list[Usage] = []

    def counted(self, usage: Usage) -> None:
        self.counts.append(usage)

    def wrote(self, text: str) -> None:
        self.texts.append(text)

    def thought(self, text: str) -> None:
        self.thoughts.append(text)


def body(request: GenerationRequest, *, thinking: str = "", stream: bool = False) -> dict[str, object]:
    asked = replace(model("m"), thinking=thinking)
    call = ModelCall(asked, request, 100, request.temperature, PATIENCE)
    parsed: dict[str, object] = orjson.loads(request_body(call, stream=stream))
    return parsed


def test_the_smallest_body() -> None:
    messages = [{"role": "user", "content": "hello"}]
    assert body(ask()) == {"model": "m", "max_tokens": 100, "messages": messages}


def test_the_largest_body() -> None:
    full = body(ask(temperature=0.5, system_prompt="be kind"), thinking="disabled", stream=True)
    assert (full["temperature"], full["system"], full["stream"]) == (0.5, "be kind", True)
    assert full["thinking"] == {"type": "disabled"}


def test_long_instructions_are_cached_by_the_provider() -> None:
    text = "word " * 800
    assert body(ask(system_prompt=text))["system"] == [
        {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
    ]
    assert isinstance(body(ask(system_prompt="word " * 600))["system"], str)


def answer(**changes: object) -> bytes:
    message = {
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b"},
        ],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": None, "service_tier": "standard"},
    }
    return orjson.dumps({**message, **changes})


def test_an_answer_is_its_text_blocks() -> None:
    assert completion(answer()) == Completion("ab", StopReason.MAX_TOKENS, Usage(1, 2))


def test_a_stop_reason_we_do_not_know_is_no_failure() -> None:
    assert completion(answer(stop_reason="pause_turn")).stop_reason is StopReason.UNSPECIFIED


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", answer(content=None), answer(usage=None), answer()[:50]], ids=range(6)
)
def test_what_is_no_answer_is_malformed(data: bytes) -> None:
    with pytest.raises(ProviderError, match="malformed_response"):
        completion(data)


START: dict[str, object] = {"message": {"usage": {"input_tokens": 9, "cache_read_input_tokens": 5, "output_tokens": 1}}}
EVENTS: list[tuple[str, dict[str, object]]] = [
    ("message_start", START),
    ("content_block_start", {"index": 0}),
    ("ping", {}),
    ("content_block_delta", {"delta": {"type": "thinking_delta", "thinking": "hm"}}),
    ("content_block_delta", {"delta": {"type": "text_delta", "text": "Hel"}}),
    ("content_block_delta", {"delta": {"type": "text_delta", "text": "lo"}}),
    ("content_block_stop", {}),
    ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
    ("message_stop", {}),
]


def test_a_stream_from_start_to_end() -> None:
    heard = Heard()
    reader = StreamReader(heard)
    signs = [name for name, event in EVENTS if reader.read(name, orjson.dumps(event).decode())]
    assert heard.texts == ["Hel", "lo"]
    assert heard.thoughts == ["hm"]
    assert heard.counts == [Usage(9, 1, 5), Usage(9, 7, 5)]
    assert signs == ["content_block_delta"] * 3
    assert reader.finished
    assert reader.completion() == Completion("", StopReason.END_TURN, Usage(9, 7, 5))


@pytest.mark.parametrize(
    ("name", "data"),
    [("message_start", "{}"), ("content_block_delta", '{"delta": '), ("message_delta", '{"usage": {}}')],
)
def test_an_event_that_breaks_off_is_malformed(name: str, data: str) -> None:
    with pytest.raises(ProviderError, match="malformed_response"):
        StreamReader(Heard()).read(name, data)
