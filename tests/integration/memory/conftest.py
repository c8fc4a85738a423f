from collections.abc import AsyncIterator

import pytest

from libs.store.embedded import EmbeddedRedis
from tests.integration.memory.replica import Replica, replica


@pytest.fixture
async def memory(redis: EmbeddedRedis) -> AsyncIterator[Replica]:
    async with replica(redis.url) as running:
        yield running
