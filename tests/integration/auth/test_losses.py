"""What happens when Redis forgets or goes away."""

from typing import TYPE_CHECKING

import pytest

from agentmesh.auth.v1 import auth_pb2 as pb
from libs.core.errors import MeshError, Reason
from libs.store.connection import Store
from libs.store.embedded import EmbeddedRedis
from services.auth.limits import RateLimits
from services.auth.servicer import Domain
from tests.integration.auth.callers import ROOT, a_tenant, as_service, authorize, failure
from tests.integration.auth.callers import a_key as a_served_key
from tests.integration.auth.conftest import ROOT_KEY
from tests.integration.auth.test_limits import METHOD, a_key

if TYPE_CHECKING:
    from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub


async def test_a_redis_that_forgot_its_scripts_is_taught_again(auth: Domain, store: Store) -> None:
    credential, _ = await a_key(auth, RateLimits())
    await auth.admission.admit(credential, METHOD)
    await store.execute("SCRIPT", "FLUSH")
    assert (await auth.admission.admit(credential, METHOD)).principal.user_id == "anna"


async def test_a_disabled_tenant_is_shut_out(auth: Domain, store: Store) -> None:
    credential, key_id = await a_key(auth, RateLimits())
    await store.execute("HSET", f"auth:{{{key_id[:10]}}}:tenant", "disabled", 1)
    with pytest.raises(MeshError) as refused:
        await auth.admission.admit(credential, METHOD)
    assert refused.value.reason is Reason.TENANT_DISABLED


async def test_without_redis_keys_are_refused_for_now_but_services_and_operators_are_not(
    stub: "AuthServiceAsyncStub", redis: EmbeddedRedis
) -> None:
    tenant_id = await a_tenant(stub)
    credential = await a_served_key(stub, tenant_id)
    service = await as_service(stub)
    redis.kill()

    lost = await failure(stub.Authorize(authorize(credential), metadata=service))
    assert lost.reason is Reason.STORE_UNAVAILABLE
    assert lost.retry_after == 1
    assert (await stub.Authorize(authorize(ROOT_KEY), metadata=service)).principal.scopes == ["admin"]
    assert await as_service(stub)
    assert (await stub.GetJwks(pb.GetJwksRequest())).jwks_json
    get = pb.GetTenantRequest(tenant_id=tenant_id)
    assert (await failure(stub.GetTenant(get, metadata=ROOT))).reason is Reason.STORE_UNAVAILABLE

    redis.restart()
    assert (await stub.Authorize(authorize(credential), metadata=service)).principal.user_id == "anna"
