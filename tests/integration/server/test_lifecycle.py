"""Health, the admin pages and the drain, over real connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from agentmesh.auth.v1.auth_pb2 import GetTenantRequest
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.core.errors import MeshError, Reason
from libs.server.runtime import Runtime
from libs.server.spec import ServiceSpec
from tests.integration.server.example import SERVICE, Example, ExampleSettings, channel, run

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING


async def until(watch: AsyncIterator[HealthCheckResponse], status: int) -> None:
    async with asyncio.timeout(10):
        async for response in watch:
            if response.status == status:
                return


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_follows_the_dependency(service: str) -> None:
    example = Example(dependency_up=False)
    async with run(example) as bound, channel(bound) as connection:
        watch = HealthStub(connection).Watch(HealthCheckRequest(service=service))
        await until(watch, NOT_SERVING)
        example.dependency_up = True
        await until(watch, SERVING)
        example.dependency_up = False
        await until(watch, NOT_SERVING)
        example.dependency_up = True
        await until(watch, SERVING)
        watch.cancel()


async def test_health_knows_only_what_is_served() -> None:
    async with run(Example()) as bound, channel(bound) as connection:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await HealthStub(connection).Check(HealthCheckRequest(service="no.such.Service"))

    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services() -> None:
    async with run(Example()) as bound, channel(bound) as connection:
        call = ServerReflectionStub(connection).ServerReflectionInfo(iter([ServerReflectionRequest(list_services="")]))
        response = await call.read()

    names = {service.name for service in response.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


async def test_calls_in_flight_finish_and_new_ones_go_elsewhere() -> None:
    example = Example()
    async with asyncio.TaskGroup() as tasks:
        async with run(example) as bound:
            connection = channel(bound)
            watch = HealthStub(connection).Watch(HealthCheckRequest(service=""))
            await until(watch, SERVING)
            call = AuthServiceStub(connection).GetTenant(GetTenantRequest(tenant_id="slow"))
            await example.entered.wait()
            # The call is let go only once the drain is under way.
            tasks.create_task(leave_when_draining(watch, example))
        response = await call
        await connection.close()

    assert response.tenant.tenant_id == "slow"
    assert example.background_ended


async def leave_when_draining(watch: AsyncIterator[HealthCheckResponse], example: Example) -> None:
    await until(watch, NOT_SERVING)
    example.leave.set()


async def test_the_admin_pages() -> None:
    example = Example()
    async with run(example) as bound, channel(bound) as connection, aiohttp.ClientSession() as http:
        watch = HealthStub(connection).Watch(HealthCheckRequest(service=""))
        await until(watch, SERVING)
        await AuthServiceStub(connection).GetTenant(GetTenantRequest(tenant_id="t1"))
        page = f"http://{bound.admin}"

        async with http.get(f"{page}/healthz") as healthz:
            assert healthz.status == 200
        async with http.get(f"{page}/readyz") as readyz:
            assert (readyz.status, await readyz.json()) == (200, {"ready": True, "faults": {}})
        async with http.get(f"{page}/hello") as hello:
            assert await hello.text() == "hello"
        async with http.get(f"{page}/metrics") as metrics:
            text = await metrics.text()
        assert f'grpc_method="/{SERVICE}/GetTenant",grpc_status="OK"' in text
        assert 'agentmesh_server_ready{dependency="state"} 1.0' in text

        example.dependency_up = False
        await until(watch, NOT_SERVING)
        async with http.get(f"{page}/readyz") as readyz:
            assert readyz.status == 503
            assert "STORE_UNAVAILABLE" in (await readyz.json())["faults"]["state"]
        async with http.get(f"{page}/healthz") as healthz:
            assert healthz.status == 200
        watch.cancel()


async def test_a_full_replica_still_answers_its_health_check() -> None:
    example = Example()
    settings = ExampleSettings(max_concurrent_calls=1, readiness_interval=0.02, drain_wait=0.0)
    async with run(example, settings) as bound, channel(bound) as connection:
        stub = AuthServiceStub(connection)
        call = stub.GetTenant(GetTenantRequest(tenant_id="slow"))
        await example.entered.wait()

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetTenant(GetTenantRequest(tenant_id="t1"))
        await HealthStub(connection).Check(HealthCheckRequest(service=""))

        example.leave.set()
        await call
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_background_work_survives_a_lost_dependency() -> None:
    tries = 0
    again = asyncio.Event()

    class Fragile(Example):
        async def background(self) -> None:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise MeshError(Reason.STORE_UNAVAILABLE)
            again.set()
            await asyncio.Event().wait()

    async with run(Fragile()), asyncio.timeout(10):
        await again.wait()


async def test_background_work_with_a_bug_ends_the_process() -> None:
    class Broken(Example):
        async def background(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as failed:
        async with run(Broken()):
            await asyncio.Event().wait()
    assert failed.group_contains(ZeroDivisionError)


async def test_a_method_without_a_policy_prevents_the_start() -> None:
    class Careless(Example):
        @asynccontextmanager
        async def build(self, settings: ExampleSettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
            async with super().build(settings, runtime) as spec:
                yield ServiceSpec(spec.registrations, spec.services, {}, spec.authenticator)

    with pytest.raises(ValueError, match="GetTenant has no MethodPolicy"):
        async with run(Careless()):
            pass


async def test_a_taken_port_prevents_the_start() -> None:
    async with run(Example()) as bound:
        settings = ExampleSettings(grpc_address=str(bound.grpc))
        with pytest.raises(RuntimeError):
            async with run(Example(), settings):
                pass
