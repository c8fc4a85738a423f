from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.auth.v1 import auth_pb2 as pb
from libs.core.errors import MeshError, Reason
from libs.core.ids import new_request_id
from services.auth import validation
from services.auth.bootstrap import METHODS

TENANT = "t000000001"
PRINCIPAL = pb.Principal(tenant_id="Acme", user_id="\n", scopes=["everything"], key_id="k")


def faults(check: Callable[..., None], request: Message) -> list[str]:
    try:
        check(request)
    except MeshError as error:
        return (
            [violation.field for violation in error.violations]
            if error.reason is Reason.INVALID_FIELD
            else [str(error)]
        )
    return []


@pytest.mark.parametrize(
    ("check", "request_"),
    [
        (validation.authorize, pb.AuthorizeRequest(method="/a.b.C/D")),
        (validation.authorize, pb.AuthorizeRequest(method="/a.b.C/D", wanted_calls=100)),
        (validation.issue_token, pb.IssueTokenRequest(api_key="amk", user_id="u", lifetime_seconds=86_400)),
        (validation.issue_token, pb.IssueTokenRequest(service=pb.ServiceCredential(service="a", secret="b"))),
        (validation.create_tenant, pb.CreateTenantRequest(request_id=new_request_id(), display_name="Ä & Co")),
        (validation.create_api_key, pb.CreateApiKeyRequest(request_id=new_request_id(), tenant_id=TENANT)),
        (validation.list_api_keys, pb.ListApiKeysRequest(tenant_id=TENANT, page_size=1000)),
        (validation.revoke_api_key, pb.RevokeApiKeyRequest(request_id=new_request_id(), key_id=TENANT + "0" * 8)),
        (validation.get_tenant, pb.GetTenantRequest(tenant_id=TENANT)),
    ],
)
def test_good_requests_pass(check: Callable[..., None], request_: Message) -> None:
    assert faults(check, request_) == []


@pytest.mark.parametrize(
    ("check", "request_", "fields"),
    [
        (validation.authorize, pb.AuthorizeRequest(credential="x" * 9000, method="Send"), ["credential", "method"]),
        (validation.authorize, pb.AuthorizeRequest(method="/a.b.C/D", wanted_calls=101), ["wanted_calls"]),
        (validation.authorize, pb.AuthorizeRequest(method="/a.b.C/D", wanted_calls=-1), ["wanted_calls"]),
        (validation.issue_token, pb.IssueTokenRequest(lifetime_seconds=-1), ["credential", "lifetime_seconds"]),
        (
            validation.issue_token,
            pb.IssueTokenRequest(
                service=pb.ServiceCredential(service="Big One", on_behalf_of=PRINCIPAL), user_id="u" * 129
            ),
            [
                "service.service",
                *(f"service.on_behalf_of.{field}" for field in ("tenant_id", "user_id", "scopes", "key_id")),
                *("user_id", "user_id"),
            ],
        ),
        (
            validation.create_tenant,
            pb.CreateTenantRequest(
                request_id="1",
                rate_limits=pb.RateLimits(tenant_per_minute=-1, user_per_minute=10**9, method_per_minute={"x": 0}),
            ),
            [
                *("request_id", "display_name", "rate_limits.tenant_per_minute", "rate_limits.user_per_minute"),
                *("rate_limits.method_per_minute", "rate_limits.method_per_minute"),
            ],
        ),
        (
            validation.create_api_key,
            pb.CreateApiKeyRequest(
                tenant_id="x", user_id="a\tb", display_name="n" * 101, scopes=["internal"], expire_time=Timestamp()
            ),
            ["request_id", "tenant_id", "user_id", "display_name", "scopes", "expire_time"],
        ),
        (
            validation.list_api_keys,
            pb.ListApiKeysRequest(page_size=1001, page_token="x" * 201),
            ["tenant_id", "page_size", "page_token"],
        ),
        (validation.revoke_api_key, pb.RevokeApiKeyRequest(key_id="t1"), ["request_id", "key_id"]),
        (validation.get_tenant, pb.GetTenantRequest(tenant_id="T000000001"), ["tenant_id"]),
    ],
)
def test_every_fault_of_a_request_is_named(check: Callable[..., None], request_: Message, fields: list[str]) -> None:
    assert faults(check, request_) == fields


def test_every_method_with_fields_is_validated() -> None:
    service = pb.DESCRIPTOR.services_by_name["AuthService"]
    assert {f"/{service.full_name}/{method.name}" for method in service.methods} == set(METHODS)
    for method in service.methods:
        policy = METHODS[f"/{service.full_name}/{method.name}"]
        assert (policy.validate is not None) == bool(method.input_type.fields)
