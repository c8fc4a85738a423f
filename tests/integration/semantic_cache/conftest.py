from collections.abc import AsyncIterator

import pytest

from libs.store.embedded import EmbeddedRedis
from tests.integration.semantic_cache.replica import Replica, replica


@pytest.fixture
async def cache(redis: EmbeddedRedis) -> AsyncIterator[Replica]:
    # The laxest rate, so that a tenant without any experience is served by meaning at all.
    async with replica(redis.url, max_wrong_rate=0.5) as running:
        yield running


@pytest.fixture
async def experienced(cache: Replica) -> Replica:
    """A replica that knows its tenant's rephrasings to be harmless."""
    await cache.learn()
    return cache
