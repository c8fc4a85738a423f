"""A real Redis for every integration test: one server per session, empty at the start of each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    directory: Path = tmp_path_factory.mktemp("redis")
    with EmbeddedRedis(directory) as server:
        yield server


@pytest.fixture
def redis(redis_server: EmbeddedRedis) -> EmbeddedRedis:
    """The session's server, running and empty, whatever the test before did to it."""
    if not redis_server.running:
        redis_server.start()
    redis_server.resume()
    redis_server.flush()
    return redis_server


@pytest.fixture
async def store(redis: EmbeddedRedis) -> AsyncIterator[Store]:
    async with connect(redis.url) as connected:
        yield connected
