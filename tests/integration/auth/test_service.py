"""The whole service over gRPC, as its callers see it."""

from typing import TYPE_CHECKING

import jwt
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.auth.v1 import auth_pb2 as pb
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.core.clock import SystemClock
from libs.core.errors import Reason
from libs.core.ids import new_request_id
from libs.server.auth import Jwks, TokenAuthenticator
from libs.store.embedded import EmbeddedRedis
from tests.integration.auth.callers import ROOT, Bearer, a_key, a_tenant, as_service, authorize, failure
from tests.integration.auth.conftest import ROOT_KEY, served

if TYPE_CHECKING:
    from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub


async def test_a_key_is_authorized_and_its_internal_token_convinces_other_services(
    stub: "AuthServiceAsyncStub",
) -> None:
    tenant_id = await a_tenant(stub)
    credential = await a_key(stub, tenant_id)

    answer = await stub.Authorize(authorize(credential), metadata=await as_service(stub))

    key_id = credential.split("_")[1]
    assert answer.principal == pb.Principal(tenant_id=tenant_id, user_id="anna", scopes=["chat"], key_id=key_id)

    async def fetch() -> str:
        return (await stub.GetJwks(pb.GetJwksRequest())).jwks_json

    clock = SystemClock()
    found = await TokenAuthenticator(Jwks(fetch, clock), clock).authenticate("/any/Method", answer.internal_token)
    assert (found.principal.tenant_id, found.principal.user_id, found.principal.key_id) == (tenant_id, "anna", key_id)
    assert found.principal.audience == "agentmesh-internal"
    assert found.principal.token_expires_at == answer.expire_time.seconds


async def test_only_services_may_ask_to_authorize(stub: "AuthServiceAsyncStub") -> None:
    credential = await a_key(stub, await a_tenant(stub))
    client_token = (await stub.IssueToken(pb.IssueTokenRequest(api_key=credential))).token
    for outsider in (ROOT_KEY, credential, client_token):
        refused = await failure(stub.Authorize(authorize(credential), metadata=Bearer(outsider).metadata))
        assert refused.reason is Reason.MISSING_SCOPE
    assert (await failure(stub.Authorize(authorize(credential)))).reason is Reason.MISSING_CREDENTIALS


async def test_wrong_credentials_are_unauthenticated(stub: "AuthServiceAsyncStub") -> None:
    service = await as_service(stub)
    credential = await a_key(stub, await a_tenant(stub))
    token = (await stub.IssueToken(pb.IssueTokenRequest(api_key=credential))).token
    forged = jwt.encode(jwt.decode(token, options={"verify_signature": False}), "x" * 32, algorithm="HS256")
    unsigned = jwt.encode(jwt.decode(token, options={"verify_signature": False}), "", algorithm="none")
    for wrong in (credential[:-1], credential.upper(), "hello", forged, unsigned, token[:-10]):
        refused = await failure(stub.Authorize(authorize(wrong), metadata=service))
        assert refused.reason is Reason.INVALID_CREDENTIALS
    assert (await failure(stub.Authorize(authorize(""), metadata=service))).reason is Reason.MISSING_CREDENTIALS
    bad_secret = pb.IssueTokenRequest(service=pb.ServiceCredential(service="x", secret="y" * 40))
    assert (await failure(stub.IssueToken(bad_secret))).reason is Reason.INVALID_CREDENTIALS


async def test_a_revoked_key_and_the_tokens_it_bought_end_at_once(stub: "AuthServiceAsyncStub") -> None:
    service = await as_service(stub)
    credential = await a_key(stub, await a_tenant(stub))
    token = (await stub.IssueToken(pb.IssueTokenRequest(api_key=credential))).token
    await stub.Authorize(authorize(token), metadata=service)

    request = pb.RevokeApiKeyRequest(request_id=new_request_id(), key_id=credential.split("_")[1])
    revoked = (await stub.RevokeApiKey(request, metadata=ROOT)).api_key
    assert revoked.HasField("revoke_time")
    assert (await stub.RevokeApiKey(request, metadata=ROOT)).api_key == revoked
    for dead in (credential, token):
        assert (await failure(stub.Authorize(authorize(dead), metadata=service))).reason is Reason.REVOKED_CREDENTIALS


async def test_a_key_expires_by_itself(stub: "AuthServiceAsyncStub", redis: EmbeddedRedis) -> None:
    service, tenant_id = await as_service(stub), await a_tenant(stub)
    soon = Timestamp()
    soon.FromMilliseconds(int(SystemClock().time() * 1000) + 300)
    request = pb.CreateApiKeyRequest(request_id=new_request_id(), tenant_id=tenant_id, expire_time=soon)
    created = await stub.CreateApiKey(request, metadata=ROOT)
    assert created.api_key.expire_time == soon
    await stub.Authorize(authorize(created.credential), metadata=service)
    # Redis's own clock decides, so this one waits, as its user would.
    await SystemClock().sleep(0.4)
    refused = await failure(stub.Authorize(authorize(created.credential), metadata=service))
    assert refused.reason is Reason.EXPIRED_CREDENTIALS


async def test_over_a_limit_the_error_says_which_and_when_to_retry(stub: "AuthServiceAsyncStub") -> None:
    service = await as_service(stub)
    credential = await a_key(stub, await a_tenant(stub, user_per_minute=6))
    await stub.Authorize(authorize(credential), metadata=service)
    limited = await failure(stub.Authorize(authorize(credential), metadata=service))
    assert limited.reason is Reason.RATE_LIMITED
    assert [hit.subject for hit in limited.quota] == ["user:anna"]
    assert limited.retry_after == pytest.approx(10, abs=2)


async def test_an_administrator_works_with_their_own_key(stub: "AuthServiceAsyncStub") -> None:
    own, other = await a_tenant(stub), await a_tenant(stub)
    boss = Bearer(await a_key(stub, own, "tenant.admin")).metadata
    assert (await stub.GetTenant(pb.GetTenantRequest(tenant_id=own), metadata=boss)).tenant.display_name == "Acme"
    assert (await failure(stub.GetTenant(pb.GetTenantRequest(tenant_id=other), metadata=boss))).reason is (
        Reason.NOT_FOUND
    )
    escalation = pb.CreateApiKeyRequest(request_id=new_request_id(), tenant_id=own, scopes=["admin"])
    assert (await failure(stub.CreateApiKey(escalation, metadata=boss))).reason is Reason.MISSING_SCOPE
    tenant = pb.CreateTenantRequest(request_id=new_request_id(), display_name="Mine")
    assert (await failure(stub.CreateTenant(tenant, metadata=boss))).reason is Reason.MISSING_SCOPE
    chatter = Bearer(await a_key(stub, own)).metadata
    assert (await failure(stub.GetTenant(pb.GetTenantRequest(tenant_id=own), metadata=chatter))).reason is (
        Reason.MISSING_SCOPE
    )


async def test_repeated_requests_change_nothing(stub: "AuthServiceAsyncStub") -> None:
    tenant = pb.CreateTenantRequest(request_id=new_request_id(), display_name="Acme")
    tenant.rate_limits.method_per_minute["/a.B/C"] = 7
    first = await stub.CreateTenant(tenant, metadata=ROOT)
    assert first.tenant.rate_limits == tenant.rate_limits
    assert await stub.CreateTenant(tenant, metadata=ROOT) == first

    key = pb.CreateApiKeyRequest(request_id=new_request_id(), tenant_id=first.tenant.tenant_id, display_name="ci")
    made = await stub.CreateApiKey(key, metadata=ROOT)
    again = await stub.CreateApiKey(key, metadata=ROOT)
    assert made.credential
    assert again == pb.CreateApiKeyResponse(api_key=made.api_key)
    key.display_name = "other"
    assert (await failure(stub.CreateApiKey(key, metadata=ROOT))).reason is Reason.REQUEST_ID_REUSED


async def test_keys_are_listed_oldest_first_in_pages_and_without_secrets(stub: "AuthServiceAsyncStub") -> None:
    tenant_id = await a_tenant(stub)
    made = [(await a_key(stub, tenant_id)).split("_")[1] for _ in range(5)]
    request = pb.ListApiKeysRequest(tenant_id=tenant_id, page_size=2)
    seen: list[pb.ApiKey] = []
    for _ in range(3):
        page = await stub.ListApiKeys(request, metadata=ROOT)
        seen += page.api_keys
        request.page_token = page.next_page_token
    assert request.page_token == ""
    assert sorted(key.key_id for key in seen) == sorted(made)
    assert [key.create_time.ToMilliseconds() for key in seen] == sorted(
        key.create_time.ToMilliseconds() for key in seen
    )
    request.page_token = "made-up"
    assert (await failure(stub.ListApiKeys(request, metadata=ROOT))).reason is Reason.INVALID_PAGE_TOKEN


async def test_bad_requests_name_their_fields(stub: "AuthServiceAsyncStub") -> None:
    refused = await failure(stub.CreateTenant(pb.CreateTenantRequest(request_id="x"), metadata=ROOT))
    assert refused.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in refused.violations] == ["request_id", "display_name"]


async def test_a_caller_that_wants_more_calls_is_granted_some_for_a_while(stub: "AuthServiceAsyncStub") -> None:
    service = await as_service(stub)
    credential = await a_key(stub, await a_tenant(stub, user_per_minute=600))
    single = await stub.Authorize(authorize(credential), metadata=service)
    assert single.granted_calls == 1
    several = await stub.Authorize(authorize(credential, wanted_calls=30), metadata=service)
    assert several.granted_calls == 30
    assert several.grant_duration.ToMilliseconds() == 200
    greedy = await stub.Authorize(authorize(credential, wanted_calls=100), metadata=service)
    # Of 100 at once 69 are left, and what came free since.
    assert 34 <= greedy.granted_calls <= 49
    refused = await failure(stub.Authorize(authorize(credential, wanted_calls=101), metadata=service))
    assert [violation.field for violation in refused.violations] == ["wanted_calls"]


async def test_grants_can_be_switched_off(redis: EmbeddedRedis) -> None:
    async with served(redis, grant_seconds=0) as channel:
        stub: AuthServiceAsyncStub = AuthServiceStub(channel)
        credential = await a_key(stub, await a_tenant(stub))
        answer = await stub.Authorize(authorize(credential, wanted_calls=30), metadata=await as_service(stub))
    assert answer.granted_calls == 1
    assert not answer.HasField("grant_duration")
