"""A simulator on loopback, and the real SDK pointed at it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from anthropic import AsyncAnthropic, DefaultAioHttpClient

from libs.testing.clock import ManualClock
from services.model_simulator.bootstrap import serving
from services.model_simulator.settings import SimulatorSettings

MODEL = "claude-haiku-4-5"


@dataclass(slots=True)
class Simulated:
    """A running simulator as a test sees it."""

    address: str
    clock: ManualClock
    http: aiohttp.ClientSession
    clients: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    async def client(self, api_key: str = "sk-sim-acme-1") -> AsyncAnthropic:
        """An SDK client, closed with the simulator."""
        client = AsyncAnthropic(
            api_key=api_key, base_url=self.url, http_client=DefaultAioHttpClient(), max_retries=0, timeout=10.0
        )
        return await self.clients.enter_async_context(client)

    async def fault(self, **fields: object) -> None:
        async with self.http.post("/admin/faults", json=fields) as response:
            assert response.status == 201, await response.text()

    async def statistics(self) -> dict[str, object]:
        async with self.http.get("/admin/statistics") as response:
            found: dict[str, object] = await response.json()
            return found

    async def until(self, condition: Callable[[dict[str, object]], bool]) -> None:
        """Wait for the statistics to fulfil `condition`; the test's own timeout bounds it."""
        while not condition(await self.statistics()):
            pass


@asynccontextmanager
async def simulated(**settings: object) -> AsyncIterator[Simulated]:
    """A simulator with these settings, whose latencies pass when the test's clock does."""
    clock = ManualClock()
    values = {"prompt_cache_minimum_tokens": 0, "drain_grace": 0, **settings}
    async with (
        serving(SimulatorSettings.model_validate(values), clock) as address,
        aiohttp.ClientSession(f"http://{address}") as http,
    ):
        running = Simulated(address, clock, http)
        async with running.clients:
            yield running


@pytest.fixture
async def simulator() -> AsyncIterator[Simulated]:
    async with simulated() as running:
        yield running


@pytest.fixture
async def client(simulator: Simulated) -> AsyncAnthropic:
    return await simulator.client()
