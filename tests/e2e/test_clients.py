"""Any gRPC client works, and so does the command line."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.client.replies import Reply
from libs.client.sync import SyncAgentMesh
from libs.config.settings import PREFIX, Settings, variable
from services.auth.settings import AuthSettings
from services.conversation.settings import Settings as ConversationSettings
from services.memory.settings import MemorySettings
from services.model_router.settings import RouterSettings
from services.monitoring.settings import MonitoringSettings
from services.semantic_cache.settings import SemanticCacheSettings
from tests.e2e.conftest import World

pytestmark = pytest.mark.asyncio(loop_scope="session")
_BIN = Path(sys.executable).parent


async def _run(
    *command: str, timeout: float = 120, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=timeout, check=False, env=environment
    )


def _address(world: World, service: str) -> str:
    return world.mesh.of(service)[0].announced["grpc"]


async def _curl(world: World, method: str, body: dict[str, object], *headers: str) -> subprocess.CompletedProcess[str]:
    url = f"http://{_address(world, 'conversation')}/{method}"
    options = [argument for header in headers for argument in ("--header", header)]
    return await _run(
        *(str(_BIN / "buf"), "curl", "--protocol", "grpc", "--http2-prior-knowledge", *options),
        *("--data", json.dumps(body), url),
    )


@pytest.mark.parametrize("service", ["auth", "conversation", "memory", "model_router", "monitoring", "semantic_cache"])
async def test_services_are_listed_through_reflection(world: World, service: str) -> None:
    listed = await _run(
        *(str(_BIN / "buf"), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-methods"),
        f"http://{_address(world, service)}",
    )
    assert listed.returncode == 0, listed.stderr
    assert f"agentmesh.{service}.v1." in listed.stdout


async def test_a_conversation_through_buf_curl(world: World) -> None:
    bearer = f"authorization: Bearer {world.api_key}"
    service = "agentmesh.conversation.v1.ConversationService"
    made = await _curl(
        world, f"{service}/CreateConversation", {"requestId": "6ff4a8a6-60f2-4f0a-9f37-1d6df2c8f5a1"}, bearer
    )
    assert made.returncode == 0, made.stderr
    conversation_id = json.loads(made.stdout)["conversation"]["conversationId"]
    sent = await _curl(
        world,
        f"{service}/SendMessage",
        {
            "requestId": "6ff4a8a6-60f2-4f0a-9f37-1d6df2c8f5a2",
            "conversationId": conversation_id,
            "content": "What is gRPC?",
        },
        bearer,
    )
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["message"]["content"]
    refused = await _curl(world, f"{service}/ListConversations", {})
    assert refused.returncode != 0
    assert "unauthenticated" in refused.stderr


@pytest.mark.parametrize("service", ["auth", "conversation", "memory", "model_router", "monitoring", "semantic_cache"])
async def test_health_answers_by_service(world: World, service: str) -> None:
    async with grpc.aio.insecure_channel(_address(world, service)) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        names = {"conversation": ["ConversationService", "JobService"], "auth": ["AuthService"]}
        for name in ["", *(f"agentmesh.{service}.v1.{each}" for each in names.get(service, []))]:
            response = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_synchronous_client_over_grpcs_own_channel(world: World) -> None:
    def talk() -> list[str | Reply]:
        with grpc.insecure_channel(_address(world, "conversation")) as channel:
            client = SyncAgentMesh(channel, world.api_key)
            conversation = client.create_conversation("sync")
            assert client.send(conversation.conversation_id, "My name is Alan.").route
            return list(client.stream(conversation.conversation_id, "What is my name?"))

    events = await asyncio.to_thread(talk)
    reply = events[-1]
    assert isinstance(reply, Reply)
    assert "Alan" in reply.text


async def test_up_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    up = await asyncio.create_subprocess_exec(
        *(str(_BIN / "agentmesh"), "up", "--directory", str(tmp_path), "--port", "0", "--replicas", "memory=2"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(90):
            while not (tmp_path / "mesh.json").exists():
                assert up.returncode is None
                await asyncio.sleep(0.1)
        state = json.loads((tmp_path / "mesh.json").read_text())
        assert [process["service"] for process in state["processes"]].count("memory") == 2
        chat = await _run(str(_BIN / "agentmesh"), "chat", "--directory", str(tmp_path), "What is a mesh?")
        assert chat.returncode == 0, chat.stderr
        assert "tokens" in chat.stdout
        status = await _run(str(_BIN / "agentmesh"), "status", "--directory", str(tmp_path))
        assert status.returncode == 0, status.stdout
        assert "SERVING" in status.stdout
    finally:
        up.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            output, _ = await up.communicate()
    assert up.returncode == 0, output.decode()
    assert b"Stopped" in output
    assert not (tmp_path / "mesh.json").exists()


async def test_commands_without_a_mesh_say_how_to_start_one(tmp_path: Path) -> None:
    chat = await _run(str(_BIN / "agentmesh"), "status", "--directory", str(tmp_path))
    assert chat.returncode == 1
    assert "agentmesh up" in chat.stderr


async def test_unknown_services_and_numbers_are_refused(tmp_path: Path) -> None:
    for replicas in ("nonsense=2", "memory", "memory=many", "memory=1000"):
        refused = await _run(str(_BIN / "agentmesh"), "up", "--directory", str(tmp_path), "--replicas", replicas)
        assert refused.returncode == 2


@pytest.mark.parametrize(
    "settings",
    [AuthSettings, ConversationSettings, MemorySettings, MonitoringSettings, RouterSettings, SemanticCacheSettings],
    ids=lambda settings: settings.__module__.split(".")[1],
)
async def test_a_service_without_settings_lists_every_fault(settings: type[Settings]) -> None:
    required = [variable(name) for name, field in settings.model_fields.items() if field.is_required()]
    assert required
    bare = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    process = await _run(sys.executable, "-m", settings.__module__.removesuffix(".settings"), environment=bare)
    assert process.returncode == 2
    assert [name for name in required if f"  {name}: " not in process.stderr] == []
    assert "Traceback" not in process.stderr


async def test_the_demo_does_what_it_says() -> None:
    demo = await _run(str(_BIN / "agentmesh"), "demo", "--json", timeout=240)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    shown = json.loads(demo.stdout)
    assert shown["ok"]
    assert len(shown["steps"]) == 6
