"""Anthropic's models through Anthropic's own SDK, which owns connections, credentials, headers and errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
import anthropic
import httpx2
from anthropic import AsyncAnthropic, AsyncStream, DefaultAioHttpClient

from services.model_router.adapters.messages_api import StreamReader, completion, failure_of, request_body
from services.model_router.failures import CONNECTION, MALFORMED, TIMEOUT, Failure
from services.model_router.ports import Completion, Listener, ModelCall, ModelProvider, ProviderError

_PATH: Final = "/v1/messages"
# Sampling parameters left the API with version 2026-10-21; models that still take them do so under the one before.
_VERSION_WITH_TEMPERATURE: Final = "2023-06-01"
_KEEPALIVE_SECONDS: Final = 60.0
# A connection that breaks while a stream is read is not yet the SDK's business, so it shows as its libraries' errors.
_BROKEN: Final = (httpx2.HTTPError, aiohttp.ClientError, OSError)


@dataclass(frozen=True, slots=True)
class AnthropicOptions:
    """How Anthropic is reached."""

    base_url: str
    api_key: str
    connect_timeout: float
    """Seconds."""
    max_connections: int


@asynccontextmanager
async def open_client(options: AnthropicOptions) -> AsyncIterator[AsyncAnthropic]:
    """The SDK's client on the SDK's aiohttp transport, which takes 60 % more calls per second than its default one."""
    limits = httpx2.Limits(
        max_connections=options.max_connections,
        max_keepalive_connections=options.max_connections,
        keepalive_expiry=_KEEPALIVE_SECONDS,
    )
    client = AsyncAnthropic(
        api_key=options.api_key,
        base_url=options.base_url,
        http_client=DefaultAioHttpClient(limits=limits),
        # Retries are the generation's business: it knows other models and the deadline; the SDK would only sleep.
        max_retries=0,
    )
    async with client:
        yield client


class AnthropicProvider(ModelProvider):
    """Calls Messages with bodies of our own (see `messages_api`) through the SDK's `post`."""

    def __init__(self, client: AsyncAnthropic, connect_timeout: float) -> None:
        self._client = client
        self._connect_timeout = connect_timeout

    def __repr__(self) -> str:
        return f"AnthropicProvider({str(self._client.base_url)!r})"

    async def complete(self, call: ModelCall) -> Completion:
        """See the port."""
        try:
            # The timeouts of the HTTP client are for one read each; a server that drips would escape them.
            async with asyncio.timeout(call.patience.total):
                response = await self._post(call, call.patience.total, stream=False)
        except TimeoutError as error:
            raise ProviderError(TIMEOUT) from error
        except anthropic.APIError as error:
            raise ProviderError(_failure(error)) from error
        return completion(response.content)

    async def stream(self, call: ModelCall, listener: Listener) -> Completion:
        """See the port."""
        reader = StreamReader(listener)
        try:
            async with asyncio.timeout(None) as timer:
                await self._follow(call, reader, _Countdown(call, timer))
        except TimeoutError as error:
            raise ProviderError(TIMEOUT) from error
        except anthropic.APIError as error:
            raise ProviderError(_failure(error)) from error
        except _BROKEN as error:
            raise ProviderError(CONNECTION) from error
        except UnicodeDecodeError as error:
            raise ProviderError(MALFORMED) from error
        if not reader.finished:
            raise ProviderError(CONNECTION)
        return reader.completion()

    async def _follow(self, call: ModelCall, reader: StreamReader, countdown: "_Countdown") -> None:
        response = await self._post(call, call.patience.total, stream=True)
        try:
            async for event in AsyncStream.raw_events(response):
                if reader.read(event.event, event.data):
                    countdown.restart()
                if reader.finished:
                    return
        finally:
            # Also what cancels the request at the provider, if the answer is not at its end.
            await response.aclose()

    async def _post(self, call: ModelCall, timeout: float, *, stream: bool) -> httpx2.Response:
        headers = {"x-client-request-id": call.request.request_id}
        if call.temperature is not None:
            headers["anthropic-version"] = _VERSION_WITH_TEMPERATURE
        return await self._client.post(
            _PATH,
            cast_to=httpx2.Response,
            content=request_body(call, stream=stream),
            options={
                "headers": headers,
                "timeout": httpx2.Timeout(timeout, connect=min(self._connect_timeout, timeout)),
            },
            stream=stream,
        )


class _Countdown:
    """The patience with one stream: for the first sign of an answer, then from sign to sign, and for all of it."""

    __slots__ = ("_ends", "_loop", "_silence", "_timer")

    def __init__(self, call: ModelCall, timer: asyncio.Timeout) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._ends = now + call.patience.total
        self._silence = call.patience.silence
        self._timer = timer
        timer.reschedule(min(self._ends, now + call.patience.first_text))

    def restart(self) -> None:
        self._timer.reschedule(min(self._ends, self._loop.time() + self._silence))


def _failure(error: anthropic.APIError) -> Failure:
    if isinstance(error, anthropic.APITimeoutError):
        return TIMEOUT
    if isinstance(error, anthropic.APIStatusError):
        return failure_of(error.status_code, error.body, _seconds(error.response.headers.get("retry-after")))
    return CONNECTION if isinstance(error, anthropic.APIConnectionError) else MALFORMED


def _seconds(header: str | None) -> float | None:
    """Anthropic sends seconds; a date, which HTTP would allow, counts as not said."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
