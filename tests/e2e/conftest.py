"""One mesh for all end-to-end tests; what a test breaks, it mends."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from libs.cli.stack.mesh import LocalMesh
from libs.cli.stack.plans import StackOptions
from libs.cli.stack.process import Process
from libs.cli.tenants import make_local_tenant
from libs.client.aio import AgentMesh

_SETTINGS = {
    # A model's pace, so that there is a middle of an answer; and takeovers that a test can wait for.
    "model_simulator": {"AGENTMESH_FIRST_TOKEN_MEDIAN_MS": "50", "AGENTMESH_OUTPUT_TOKEN_MS": "10"},
    "*": {"AGENTMESH_TURN_LEASE_SECONDS": "2", "AGENTMESH_JOB_TAKEOVER_SECONDS": "2", "AGENTMESH_LOG_LEVEL": "info"},
}


class Simulator:
    """The model simulator's admin endpoints."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def fault(self, **fault: object) -> None:
        """Order a fault."""
        async with self._session.post(f"{self._url}/admin/faults", json=fault) as response:
            assert response.status == 201, await response.text()

    async def mend(self) -> None:
        """No more faults, counters from zero."""
        async with self._session.post(f"{self._url}/admin/reset") as response:
            assert response.status == 200

    async def statistics(self) -> dict[str, object]:
        """What it served."""
        async with self._session.get(f"{self._url}/admin/statistics") as response:
            counted = await response.json()
        assert isinstance(counted, dict)
        return counted


@dataclass(frozen=True)
class World:
    """The mesh, a client of it, and the model behind it."""

    mesh: LocalMesh
    client: AgentMesh
    simulator: Simulator
    api_key: str

    async def revive(self, *processes: Process) -> None:
        """Start processes again and wait until everything serves."""
        for process in processes:
            await process.start()
            await process.wait_ready(60)
        await self.mesh.wait_serving(60)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The mesh, for the whole session."""
    directory: Path = tmp_path_factory.mktemp("mesh")
    options = StackOptions(directory, replicas={"conversation": 2, "conversation_worker": 2}, settings=_SETTINGS)
    async with LocalMesh(options) as mesh, aiohttp.ClientSession() as session:
        key = await make_local_tenant(mesh.target("auth"), mesh.secrets.root_key, user_id="e2e")
        async with AgentMesh(mesh.conversation_target, key) as client:
            yield World(mesh, client, Simulator(mesh.simulator_url, session), key)


@pytest_asyncio.fixture(loop_scope="session")
async def world(running: World) -> AsyncIterator[World]:
    """The mesh, whole and without faults."""
    await running.simulator.mend()
    yield running
    await running.simulator.mend()
    dead = [process for process in running.mesh.processes if not process.alive]
    await running.revive(*dead)
