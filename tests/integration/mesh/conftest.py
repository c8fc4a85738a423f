from collections.abc import AsyncIterator

import pytest

from libs.testing.inprocess import RunningServer, serving
from tests.integration.mesh.echo import Echo


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def server(echo: Echo) -> AsyncIterator[RunningServer]:
    async with serving(echo.registration()) as running:
        yield running
