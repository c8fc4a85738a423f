"""Services that show each other certificates."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import grpc
import pytest

from agentmesh.auth.v1.auth_pb2 import GetTenantRequest
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.server.runtime import Runtime, open_runtime
from libs.telemetry.telemetry import Telemetry
from tests.integration.server.certificates import Authority, Pair
from tests.integration.server.example import Example, ExampleSettings, run


def settings(authority: Authority, pair: Pair | None) -> ExampleSettings:
    return ExampleSettings(
        drain_wait=0.0,
        tls_ca_file=authority.certificate,
        tls_certificate_file=pair.certificate if pair is not None else None,
        tls_key_file=pair.key if pair is not None else None,
        tls_client_ca_file=authority.certificate if pair is not None else None,
    )


def process(name: str, chosen: ExampleSettings) -> AbstractAsyncContextManager[Runtime]:
    return open_runtime(name, chosen, SystemClock(), new_rng(1), Telemetry.local(name))


async def tenant_over(runtime: Runtime, target: str) -> str:
    response = await AuthServiceStub(runtime.dial(target)).GetTenant(GetTenantRequest(tenant_id="t"), timeout=5)
    return str(response.tenant.tenant_id)


@pytest.mark.parametrize(
    "target", ["static:///127.0.0.1:{port}", "static:///localhost:{port}", "dns:///localhost:{port}"]
)
async def test_two_services_of_one_authority_talk(tmp_path: Path, target: str) -> None:
    authority = Authority(tmp_path)
    called, caller = (settings(authority, authority.issue(name)) for name in ("called", "caller"))
    async with run(Example(), called) as bound, process("caller", caller) as runtime:
        assert await tenant_over(runtime, target.format(port=bound.grpc.port)) == "t"


async def test_who_shows_no_certificate_is_not_let_in(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with run(Example(), settings(authority, authority.issue("called"))) as bound:
        for chosen in (settings(authority, None), ExampleSettings()):
            async with process("caller", chosen) as runtime:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await tenant_over(runtime, f"static:///{bound.grpc}")
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_peer_that_another_authority_vouches_for_is_not_believed(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    async with (
        run(Example(), settings(authority, authority.issue("called"))) as bound,
        process("caller", settings(other, other.issue("caller"))) as runtime,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await tenant_over(runtime, f"static:///{bound.grpc}")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
