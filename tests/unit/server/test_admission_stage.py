import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo

from libs.core.errors import MeshError, Reason
from libs.server.spec import Access, MethodPolicy
from libs.server.stages.admission import AdmissionStage
from libs.telemetry.metrics import Metrics
from libs.testing.grpc_context import FakeServicerContext
from tests.unit.server.fakes import METHOD, Harness, echo, error_info, new_call, sent_status


async def test_a_full_replica_refuses_and_says_when_to_come_back() -> None:
    harness = Harness(max_concurrent_calls=1)
    leave = asyncio.Event()

    async def waits(request: object, context: FakeServicerContext) -> object:
        await leave.wait()
        return request

    refused = FakeServicerContext(timeout=5.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.unary(waits)(1, FakeServicerContext(timeout=5.0)))  # type: ignore[arg-type]  # a coroutine
        await asyncio.sleep(0)  # noqa: TID251 - lets the first call in
        with pytest.raises(grpc.aio.AbortError):
            await harness.unary(echo)(2, refused)
        leave.set()

    status = sent_status(refused)
    assert error_info(status).reason == "OVERLOADED"
    assert any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)
    assert (
        f'agentmesh_server_shed_total{{grpc_method="{METHOD}"}} 1.0' in harness.telemetry.metrics.exposition().decode()
    )
    assert await harness.unary(echo)(3, FakeServicerContext(timeout=5.0)) == 3


async def test_housekeeping_finds_room_in_a_full_replica() -> None:
    stage = AdmissionStage(1, Metrics("test"))
    policy = MethodPolicy(Access.PUBLIC, housekeeping=True)

    async def nested(call: object, request: object) -> object:
        return await stage.wrap(METHOD, policy, proceed)(new_call(timeout=1.0), request)

    async def proceed(call: object, request: object) -> object:
        return request

    assert await stage.wrap(METHOD, MethodPolicy(Access.PUBLIC), nested)(new_call(timeout=1.0), "checked") == "checked"


async def test_a_failing_call_gives_its_place_back() -> None:
    stage = AdmissionStage(1, Metrics("test"))

    async def fails(call: object, request: object) -> object:
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await stage.wrap(METHOD, MethodPolicy(Access.PUBLIC), fails)(new_call(timeout=1.0), None)

    assert stage.statistics() == (0, 1, 0)


async def test_a_call_without_a_deadline_ends_at_the_methods_own() -> None:
    async def forever(request: object, context: FakeServicerContext) -> object:
        await asyncio.Event().wait()
        return None

    context = FakeServicerContext()
    with pytest.raises(grpc.aio.AbortError):
        await Harness().unary(forever, MethodPolicy(Access.PUBLIC, default_timeout=0.01))(None, context)

    assert error_info(sent_status(context)).reason == "DEADLINE_TOO_SHORT"


async def test_a_timeout_of_the_handlers_own_is_no_deadline() -> None:
    async def handler(request: object, context: FakeServicerContext) -> object:
        raise TimeoutError

    context = FakeServicerContext()
    with pytest.raises(grpc.aio.AbortError):
        await Harness().unary(handler)(None, context)

    assert error_info(sent_status(context)).reason == "INTERNAL"


def test_a_limit_below_one_would_serve_nobody() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        AdmissionStage(0, Metrics("test"))


async def test_housekeeping_ends_whatever_its_client_asks_for() -> None:
    stage = AdmissionStage(1, Metrics("test"))
    policy = MethodPolicy(Access.PUBLIC, default_timeout=0.01, housekeeping=True)

    async def watches(call: object, request: object) -> object:
        return await asyncio.Event().wait()

    with pytest.raises(MeshError) as ended:
        async with asyncio.timeout(5):
            await stage.wrap(METHOD, policy, watches)(new_call(timeout=86_400.0), None)
    assert ended.value.reason is Reason.DEADLINE_TOO_SHORT
