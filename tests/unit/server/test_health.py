import asyncio

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest

from libs.core.errors import MeshError
from libs.server.health import Health

SERVICE = "agentmesh.test.v1.TestService"
SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING


async def status(health: Health, service: str = "") -> int:
    response = await health.Check(HealthCheckRequest(service=service), None)
    return int(response.status)


async def test_not_serving_until_it_is_ready() -> None:
    health = Health([SERVICE])
    assert await status(health) == NOT_SERVING

    health.publish(True)

    assert await status(health) == SERVING
    assert await status(health, SERVICE) == SERVING


async def test_a_draining_server_never_comes_back() -> None:
    health = Health([SERVICE])
    health.publish(True)
    health.drain()

    health.publish(False)
    health.publish(True)

    assert await status(health, SERVICE) == NOT_SERVING


async def test_a_service_that_is_not_here_is_not_found() -> None:
    with pytest.raises(MeshError):
        await status(Health([SERVICE]), "another.Service")


async def test_the_list_names_everything() -> None:
    response = await Health([SERVICE]).List(HealthListRequest(), None)

    assert set(response.statuses) == {"", SERVICE}


async def test_a_watcher_sees_every_lasting_change_and_is_sent_home_at_the_end() -> None:
    health = Health([SERVICE])
    seen: list[int] = []

    async def watch() -> None:
        async for response in health.Watch(HealthCheckRequest(service=SERVICE), None):
            seen.append(response.status)
            if len(seen) == 1:
                health.publish(True)
            elif len(seen) == 2:
                health.drain()
            else:
                health.close()

    async with asyncio.timeout(5):
        await watch()

    assert seen == [NOT_SERVING, SERVING, NOT_SERVING]


async def test_watching_what_is_not_here_says_so_and_waits() -> None:
    health = Health([SERVICE])
    watch = health.Watch(HealthCheckRequest(service="another.Service"), None)

    assert (await anext(watch)).status == HealthCheckResponse.SERVICE_UNKNOWN
    health.close()
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
