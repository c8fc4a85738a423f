import pytest
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam, TextBlock, TextBlockParam

from services.model_simulator.completion import split
from tests.integration.model_simulator.conftest import MODEL, Simulated, simulated

HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]
HISTORY: list[MessageParam] = [
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Nice to meet you."},
    {"role": "user", "content": "What is my name?"},
]


async def test_an_answer_has_the_shape_of_anthropics(client: AsyncAnthropic) -> None:
    message = await client.messages.create(model=MODEL, max_tokens=200, messages=HISTORY)
    block = message.content[0]
    assert isinstance(block, TextBlock)
    assert "your name is Ada" in block.text
    assert (message.role, message.model, message.stop_reason) == ("assistant", MODEL, "end_turn")
    assert message.usage.output_tokens == len(split(block.text))
    assert message.usage.input_tokens > 10
    assert message.id.startswith("msg_")


async def test_every_response_has_a_request_id_of_its_own(client: AsyncAnthropic) -> None:
    first = await client.messages.create(model=MODEL, max_tokens=20, messages=HELLO)
    second = await client.messages.create(model=MODEL, max_tokens=20, messages=HELLO)
    assert first._request_id is not None
    assert first._request_id != second._request_id
    assert first.content == second.content


async def test_a_stream_says_what_the_whole_answer_says(client: AsyncAnthropic) -> None:
    whole = await client.messages.create(model=MODEL, max_tokens=200, messages=HISTORY)
    async with client.messages.stream(model=MODEL, max_tokens=200, messages=HISTORY) as stream:
        pieces = [piece async for piece in stream.text_stream]
        final = await stream.get_final_message()
    assert final.content[0].model_dump(exclude_none=True) == whole.content[0].model_dump(exclude_none=True)
    assert final.usage.output_tokens == whole.usage.output_tokens == len(pieces)
    assert final.usage.input_tokens == whole.usage.input_tokens
    assert final.stop_reason == "end_turn"


async def test_events_come_in_anthropics_order(client: AsyncAnthropic) -> None:
    stream = await client.messages.create(model=MODEL, max_tokens=3, messages=HELLO, stream=True)
    kinds = [event.type async for event in stream]
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_max_tokens_cuts_an_answer(client: AsyncAnthropic) -> None:
    message = await client.messages.create(model=MODEL, max_tokens=4, messages=HELLO)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 4)


async def test_a_stop_sequence_ends_an_answer(client: AsyncAnthropic) -> None:
    message = await client.messages.create(model=MODEL, max_tokens=100, messages=HELLO, stop_sequences=["Hello"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "Hello")


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_may_be_empty(client: AsyncAnthropic, streamed: bool) -> None:
    if streamed:
        async with client.messages.stream(model=MODEL, max_tokens=0, messages=HELLO) as stream:
            final = await stream.get_final_message()
        blocks, usage = len(final.content), final.usage
    else:
        message = await client.messages.create(model=MODEL, max_tokens=0, messages=HELLO)
        blocks, usage = len(message.content), message.usage
    assert blocks == 0
    assert usage.output_tokens == 0


async def test_the_prompt_cache_shows_in_the_usage(client: AsyncAnthropic) -> None:
    system: list[TextBlockParam] = [
        {"type": "text", "text": "All about the harbour. " * 50, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    first = await client.messages.create(model=MODEL, max_tokens=20, system=system, messages=HELLO)
    async with client.messages.stream(model=MODEL, max_tokens=20, system=system, messages=HELLO) as stream:
        second = await stream.get_final_message()
    assert first.usage.cache_creation_input_tokens
    assert first.usage.cache_creation is not None
    assert first.usage.cache_creation.ephemeral_1h_input_tokens == first.usage.cache_creation_input_tokens
    assert first.usage.cache_read_input_tokens == 0
    assert second.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens
    assert second.usage.cache_creation_input_tokens == 0
    assert second.usage.input_tokens == first.usage.input_tokens < 10


async def test_counting_agrees_with_the_bill(client: AsyncAnthropic) -> None:
    counted = await client.messages.count_tokens(model=MODEL, system="Be brief.", messages=HISTORY)
    message = await client.messages.create(model=MODEL, max_tokens=20, system="Be brief.", messages=HISTORY)
    assert counted.input_tokens == message.usage.input_tokens


async def test_lists_its_models_page_by_page(client: AsyncAnthropic) -> None:
    models = [model async for model in client.models.list(limit=3)]
    assert len(models) > 3
    assert len({model.id for model in models}) == len(models)
    found = await client.models.retrieve(MODEL)
    assert (found.id, found.lifecycle, found.max_tokens) == (MODEL, "active", 64_000)


async def test_statistics_count_calls_and_tokens(simulator: Simulated, client: AsyncAnthropic) -> None:
    message = await client.messages.create(model=MODEL, max_tokens=20, messages=HELLO)
    async with client.messages.stream(model="claude-opus-5", max_tokens=7, messages=HELLO) as stream:
        await stream.get_final_message()
    found = await simulator.statistics()
    assert (found["calls"], found["streams"], found["in_flight"], found["peak_in_flight"]) == (2, 1, 0, 1)
    models = found["models"]
    assert isinstance(models, dict)
    assert models[MODEL]["input_tokens"] == message.usage.input_tokens
    assert models[MODEL]["output_tokens"] == 20
    assert models["claude-opus-5"]["output_tokens"] == 7


async def test_reset_forgets_everything(simulator: Simulated, client: AsyncAnthropic) -> None:
    await client.messages.create(model=MODEL, max_tokens=20, messages=HELLO)
    await simulator.fault(kind="status", status=500)
    async with simulator.http.post("/admin/reset") as response:
        assert response.status == 200
    assert (await simulator.statistics())["calls"] == 0
    await client.messages.create(model=MODEL, max_tokens=20, messages=HELLO)


async def test_tokens_come_at_the_pace_of_the_settings() -> None:
    async with simulated(first_token_median_ms=500, output_token_ms=100) as simulator:
        client = await simulator.client()
        stream = await client.messages.create(model=MODEL, max_tokens=3, messages=HELLO, stream=True)
        events = aiter(stream)
        assert [(await anext(events)).type for _ in range(2)] == ["message_start", "content_block_start"]
        assert (await simulator.statistics())["in_flight"] == 1
        simulator.clock.advance(0.5)
        assert (await anext(events)).type == "content_block_delta"
        simulator.clock.advance(0.2)
        rest = [event.type async for event in events]
        assert rest[:2] == ["content_block_delta", "content_block_delta"]
        assert rest[-1] == "message_stop"
