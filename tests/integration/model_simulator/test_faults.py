import asyncio

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam

from tests.integration.model_simulator.conftest import MODEL, Simulated, simulated

HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]


async def read(client: AsyncAnthropic) -> list[str]:
    """Stream an answer; the pieces that came."""
    pieces: list[str] = []
    async with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        pieces.extend([piece async for piece in stream.text_stream])
    return pieces


async def ask(client: AsyncAnthropic) -> None:
    await client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)


async def test_a_slow_first_token_keeps_the_stream_waiting(simulator: Simulated, client: AsyncAnthropic) -> None:
    await simulator.fault(kind="slow_first_token", seconds=5)
    stream = await client.messages.create(model=MODEL, max_tokens=2, messages=HELLO, stream=True)
    events = aiter(stream)
    assert [(await anext(events)).type for _ in range(2)] == ["message_start", "content_block_start"]
    simulator.clock.advance(4.9)
    assert (await simulator.statistics())["in_flight"] == 1
    simulator.clock.advance(0.2)
    assert (await anext(events)).type == "content_block_delta"


async def test_a_cut_stream_breaks_off_after_its_tokens(simulator: Simulated, client: AsyncAnthropic) -> None:
    await simulator.fault(kind="cut_stream", after_tokens=3)
    stream = await client.messages.create(model=MODEL, max_tokens=100, messages=HELLO, stream=True)
    events = aiter(stream)
    kinds = [(await anext(events)).type for _ in range(5)]
    assert kinds[2:] == ["content_block_delta"] * 3
    # The SDK lets the transport's own error through here; only failures before the answer become its own.
    with pytest.raises(httpx2.ReadError):
        await anext(events)
    with pytest.raises(anthropic.APIConnectionError):
        await ask(client)
    found = await simulator.statistics()
    assert found["faults"] == {"cut_stream": 2}
    assert found["cancelled_by_client"] == 0


async def test_an_error_in_a_stream_comes_with_status_200(simulator: Simulated, client: AsyncAnthropic) -> None:
    await simulator.fault(kind="error_in_stream", status=529, after_tokens=2)
    with pytest.raises(anthropic.APIStatusError) as error:
        await read(client)
    assert (error.value.status_code, error.value.type) == (200, "overloaded_error")
    with pytest.raises(anthropic.APIStatusError) as error:
        await ask(client)
    assert error.value.status_code == 529
    assert (await simulator.statistics())["output_tokens"] == 2


async def test_malformed_json_can_be_ordered(simulator: Simulated, client: AsyncAnthropic) -> None:
    await simulator.fault(kind="malformed", after_tokens=2)
    with pytest.raises(ValueError, match=r"."):
        await read(client)
    with pytest.raises((ValueError, anthropic.APIError)):
        await ask(client)


async def test_a_hanging_call_ends_in_a_timeout(simulator: Simulated, client: AsyncAnthropic) -> None:
    await simulator.fault(kind="hang", seconds=60)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(_status_of(client))
        await simulator.until(lambda found: found["in_flight"] == 1)
        simulator.clock.advance(60)
    assert asking.result() == 504


async def _status_of(client: AsyncAnthropic) -> int:
    with pytest.raises(anthropic.APIStatusError) as error:
        await ask(client)
    return error.value.status_code


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_goes_away_is_noticed(streamed: bool) -> None:
    async with simulated(first_token_median_ms=1000) as simulator, asyncio.timeout(10):
        client = await simulator.client()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_read_quietly(client) if streamed else ask(client))
            await simulator.until(lambda found: found["in_flight"] == 1)
            asking.cancel()
        await simulator.until(lambda found: found["in_flight"] == 0)
        found = await simulator.statistics()
    assert (found["cancelled_by_client"], found["output_tokens"], found["peak_in_flight"]) == (1, 0, 1)


async def _read_quietly(client: AsyncAnthropic) -> None:
    await read(client)


async def test_faults_can_be_listed_and_withdrawn(simulator: Simulated, client: AsyncAnthropic) -> None:
    await simulator.fault(kind="status", status=500, count=3, model=MODEL)
    with pytest.raises(anthropic.InternalServerError):
        await ask(client)
    async with simulator.http.get("/admin/faults") as response:
        listed = (await response.json())["faults"]
    assert [(fault["kind"], fault["status"], fault["count"], fault["fired"]) for fault in listed] == [
        ("status", 500, 3, 1)
    ]
    async with simulator.http.delete("/admin/faults") as response:
        assert await response.json() == {"removed": 1}
    await ask(client)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"),
        (b'{"kind": "explode"}', "kind: must be one of"),
        (b'{"kind": "hang", "model": "claude-zero"}', "model: claude-zero"),
    ],
)
async def test_a_wrong_order_is_told_what_is_wrong(simulator: Simulated, body: bytes, message: str) -> None:
    async with simulator.http.post("/admin/faults", data=body) as response:
        assert response.status in (400, 404)
        assert message in (await response.json())["error"]["message"]
