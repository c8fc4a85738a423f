from collections.abc import AsyncIterator

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam

from tests.integration.model_simulator.conftest import MODEL, Simulated, simulated

HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]


async def test_an_invalid_request_is_told_what_is_wrong(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as error:
        await client.messages.create(model=MODEL, max_tokens=10, messages=[])
    assert error.value.type == "invalid_request_error"
    assert error.value.api_message == "messages: at least one message is required"
    assert error.value.request_id is not None


async def test_a_key_is_needed(simulator: Simulated) -> None:
    async with simulator.http.post("/v1/messages", json={}, headers={"anthropic-version": "2023-06-01"}) as response:
        assert response.status == 401
        found = await response.json()
    assert found["error"] == {"type": "authentication_error", "message": "x-api-key header is required"}
    assert found["request_id"] == response.headers["request-id"]


async def test_a_version_is_needed(simulator: Simulated) -> None:
    async with simulator.http.post("/v1/messages", json={}, headers={"x-api-key": "k"}) as response:
        assert response.status == 400
        assert "anthropic-version" in (await response.json())["error"]["message"]


async def test_an_unknown_model_is_not_found(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as error:
        await client.messages.create(model="claude-zero", max_tokens=10, messages=HELLO)
    assert (error.value.type, error.value.api_message) == ("not_found_error", "model: claude-zero")
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("claude-zero")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_large_body_is_refused_whether_announced_or_not(streamed: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 60
        yield b"x" * 60

    async with simulated(max_body_bytes=100) as simulator:
        data = chunks() if streamed else b"x" * 120
        headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
        async with simulator.http.post("/v1/messages", data=data, headers=headers) as response:
            assert response.status == 413
            assert (await response.json())["error"]["type"] == "request_too_large"


async def test_the_sdk_sees_a_large_body_as_its_own_error() -> None:
    async with simulated(max_body_bytes=100) as simulator:
        client = await simulator.client()
        with pytest.raises(anthropic.APIStatusError) as error:
            await client.messages.create(model=MODEL, max_tokens=1, messages=[{"role": "user", "content": "x" * 200}])
        assert error.value.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v2/x", 404), ("GET", "/v1/messages", 400), ("PUT", "/admin/faults", 400)]
)
async def test_other_paths_and_methods_are_refused(simulator: Simulated, method: str, path: str, status: int) -> None:
    async with simulator.http.request(method, path) as response:
        assert response.status == status
        assert (await response.json())["type"] == "error"


@pytest.mark.parametrize(
    ("status", "kind", "type_"),
    [
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.APIStatusError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (409, anthropic.ConflictError, "conflict_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (504, anthropic.APIStatusError, "timeout_error"),
        (529, anthropic.APIStatusError, "overloaded_error"),
    ],
)
async def test_any_status_can_be_ordered(
    simulator: Simulated, client: AsyncAnthropic, status: int, kind: type[anthropic.APIStatusError], type_: str
) -> None:
    await simulator.fault(kind="status", status=status, count=1)
    with pytest.raises(kind) as error:
        await client.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
    assert (error.value.status_code, error.value.type) == (status, type_)
    await client.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
    found = await simulator.statistics()
    assert found["errors"] == {str(status): 1}
    assert found["calls"] == 1


async def test_a_spend_limit_has_its_code_and_no_retry_after(simulator: Simulated, client: AsyncAnthropic) -> None:
    await simulator.fault(kind="status", status=429, error_code="enforced_spend_limit_reached")
    with pytest.raises(anthropic.RateLimitError) as error:
        await client.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
    assert error.value.error_code == "enforced_spend_limit_reached"
    assert "retry-after" not in error.value.response.headers


async def test_rate_limits_are_per_organisation_and_told_in_headers() -> None:
    async with simulated(
        requests_per_minute=2, input_tokens_per_minute=1000, output_tokens_per_minute=500
    ) as simulator:
        client = await simulator.client("sk-sim-acme-1")
        colleague = await simulator.client("sk-sim-acme-2")
        stranger = await simulator.client("sk-sim-globex-1")
        raw = await client.messages.with_raw_response.create(model=MODEL, max_tokens=10, messages=HELLO)
        for name in ("requests", "input-tokens", "output-tokens"):
            for part in ("limit", "remaining", "reset"):
                assert f"anthropic-ratelimit-{name}-{part}" in raw.headers
        assert raw.headers["anthropic-ratelimit-requests-remaining"] == "1"
        await colleague.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
        with pytest.raises(anthropic.RateLimitError) as error:
            await client.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
        assert error.value.response.headers["retry-after"] == "30"
        assert error.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"
        await stranger.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
        simulator.clock.advance(30)
        await client.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
