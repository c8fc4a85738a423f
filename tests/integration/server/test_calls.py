"""What a client sees of the chain, over a real connection."""

import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from agentmesh.auth.v1.auth_pb2 import (
    AuthorizeRequest,
    CreateTenantRequest,
    GetJwksRequest,
    GetTenantRequest,
    ListApiKeysRequest,
)
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.integration.server.example import Example, channel, run


def rich(error: grpc.aio.AioRpcError) -> tuple[Status, ErrorInfo]:
    trailing = error.trailing_metadata()
    assert trailing is not None
    status = Status.FromString(dict(trailing)["grpc-status-details-bin"])
    infos = [detail for detail in status.details if detail.Is(ErrorInfo.DESCRIPTOR)]
    assert len(infos) == 1
    info = ErrorInfo()
    infos[0].Unpack(info)
    return status, info


@pytest.mark.parametrize(
    ("tenant", "code", "reason"),
    [
        ("missing", grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        ("bug", grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
async def test_errors_are_rich(tenant: str, code: grpc.StatusCode, reason: str) -> None:
    async with run(Example()) as bound, channel(bound) as connection:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await AuthServiceStub(connection).GetTenant(GetTenantRequest(tenant_id=tenant))

    status, info = rich(failed.value)
    assert failed.value.code() is code
    assert status.code == code.value[0]
    assert (info.reason, info.domain) == (reason, "example")
    assert len(info.metadata["trace_id"]) == 32
    assert "secret detail" not in str(failed.value.details())


async def test_bad_input_names_its_field() -> None:
    async with run(Example()) as bound, channel(bound) as connection:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await AuthServiceStub(connection).CreateTenant(
                CreateTenantRequest(), metadata=[("authorization", "Bearer t7")]
            )

    status, info = rich(failed.value)
    bad = BadRequest()
    assert info.reason == "INVALID_FIELD"
    assert any(detail.Unpack(bad) for detail in status.details)
    assert bad.field_violations[0].field == "display_name"


async def test_a_credential_becomes_a_principal() -> None:
    async with run(Example()) as bound, channel(bound) as connection:
        stub = AuthServiceStub(connection)
        response = await stub.CreateTenant(
            CreateTenantRequest(display_name="x"), metadata=[("authorization", "Bearer t7")]
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CreateTenant(CreateTenantRequest(display_name="x"))

    assert response.tenant.tenant_id == "t7"
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_method_nobody_wrote_is_unimplemented() -> None:
    async with run(Example()) as bound, channel(bound) as connection:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await AuthServiceStub(connection).Authorize(AuthorizeRequest())

    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert rich(failed.value)[1].reason == "UNIMPLEMENTED"


async def test_the_clients_deadline_arrives() -> None:
    async with run(Example()) as bound, channel(bound) as connection:
        stub = AuthServiceStub(connection)
        with_deadline = await stub.ListApiKeys(ListApiKeysRequest(), timeout=5.0)
        without = await stub.ListApiKeys(ListApiKeysRequest())

    assert 4.0 < float(with_deadline.next_page_token) <= 5.0
    assert 29.0 < float(without.next_page_token) <= 30.0


async def test_a_client_that_leaves_ends_the_work() -> None:
    example = Example()
    async with run(example) as bound, channel(bound) as connection:
        call = AuthServiceStub(connection).GetJwks(GetJwksRequest())
        await example.entered.wait()
        call.cancel()
        async with asyncio.timeout(5):
            await example.leave.wait()
