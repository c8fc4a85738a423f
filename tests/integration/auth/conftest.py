"""Auth on a real Redis, with and without gRPC around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from pydantic import SecretStr

from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.server.lifecycle import Process, serving
from libs.store.connection import Store
from libs.store.embedded import EmbeddedRedis
from libs.telemetry.telemetry import Telemetry
from services.auth.bootstrap import assemble, build
from services.auth.servicer import Domain
from services.auth.settings import AuthSettings

if TYPE_CHECKING:
    # The generated module itself has no such class: it only types what the stub is on an asyncio channel.
    from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub

ROOT_KEY = "root-key-that-is-long-enough-for-all-tests"
SERVICE_SECRET = "service-secret-that-is-long-enough-for-tests"


def settings_for(redis: EmbeddedRedis, grant_seconds: float = 0.2) -> AuthSettings:
    return AuthSettings(
        redis_url=redis.url,
        signing_key=SecretStr("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        key_pepper=SecretStr("pepper that is long enough for all tests"),
        service_secret=SecretStr(SERVICE_SECRET),
        root_key=SecretStr(ROOT_KEY),
        grant_seconds=grant_seconds,
        drain_wait=0,
        readiness_interval=0.05,
    )


@pytest.fixture
def auth(store: Store, redis: EmbeddedRedis) -> Domain:
    """The domain on its real adapters, without gRPC."""
    return assemble(settings_for(redis), store, SystemClock())


@asynccontextmanager
async def served(redis: EmbeddedRedis, grant_seconds: float = 0.2) -> AsyncIterator[grpc.aio.Channel]:
    """The whole service on loopback, and a plain channel to it."""
    process = Process(SystemClock(), new_rng(1), Telemetry.local("auth"))
    async with (
        serving("auth", settings_for(redis, grant_seconds), build, process) as bound,
        grpc.aio.insecure_channel(str(bound.grpc), options=[("grpc.enable_http_proxy", 0)]) as channel,
    ):
        yield channel


@pytest.fixture
async def channel(redis: EmbeddedRedis) -> AsyncIterator[grpc.aio.Channel]:
    async with served(redis) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> "AuthServiceAsyncStub":
    return AuthServiceStub(channel)
