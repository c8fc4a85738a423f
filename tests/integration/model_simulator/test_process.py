import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from anthropic import AsyncAnthropic, DefaultAioHttpClient

from tests.integration.model_simulator.conftest import MODEL


@asynccontextmanager
async def process(**settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {f"AGENTMESH_{name.upper()}": value for name, value in settings.items()}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.model_simulator", env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def event(started: asyncio.subprocess.Process) -> dict[str, object]:
    assert started.stdout is not None
    line: dict[str, object] = json.loads(await started.stdout.readline())
    return line


async def test_a_process_announces_itself_and_stops_when_its_calls_have_ended(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    async with asyncio.timeout(30), process(ready_file=str(ready), first_token_median_ms="200") as started:
        logged = await event(started)
        announced = json.loads(ready.read_bytes())
        assert logged["event"] == "server.started"
        assert announced == {"http": logged["http"], "pid": started.pid}
        assert os.listdir(tmp_path) == ["ready.json"]
        url = f"http://{announced['http']}"
        async with (
            AsyncAnthropic(api_key="k", base_url=url, http_client=DefaultAioHttpClient(), max_retries=0) as client,
            aiohttp.ClientSession(url) as http,
            asyncio.TaskGroup() as group,
        ):
            asking = group.create_task(
                client.messages.create(model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "Hello"}])
            )
            while await _in_flight(http) == 0:
                pass
            started.send_signal(signal.SIGTERM)
        assert asking.result().stop_reason == "max_tokens"
        assert await started.wait() == 0


async def _in_flight(http: aiohttp.ClientSession) -> int:
    async with http.get("/admin/statistics") as response:
        count: int = (await response.json())["in_flight"]
        return count


async def test_wrong_settings_are_all_named() -> None:
    refused = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.model_simulator",
        env={"AGENTMESH_SEED": "x", "AGENTMESH_DRAIN_GRACE": "-1"},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, errors = await refused.communicate()
    assert refused.returncode == 2
    assert b"AGENTMESH_SEED" in errors
    assert b"AGENTMESH_DRAIN_GRACE" in errors
