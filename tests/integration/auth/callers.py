"""Callers of the served AuthService: what they show, send and get back."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import grpc
import pytest

from agentmesh.auth.v1 import auth_pb2 as pb
from libs.core.errors import MeshError
from libs.core.ids import new_request_id
from libs.mesh.errors import decode
from tests.integration.auth.conftest import ROOT_KEY, SERVICE_SECRET

if TYPE_CHECKING:
    from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub

METHOD = "/agentmesh.conversation.v1.ConversationService/SendMessage"
T = TypeVar("T")


class Bearer(NamedTuple):
    """The metadata of a caller with this credential."""

    credential: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.credential}"),)


ROOT = Bearer(ROOT_KEY).metadata


async def failure(call: Awaitable[T]) -> MeshError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return decode(failed.value, "auth")


async def as_service(stub: "AuthServiceAsyncStub") -> tuple[tuple[str, str], ...]:
    """What conversation calls Authorize with."""
    credential = pb.ServiceCredential(service="conversation", secret=SERVICE_SECRET)
    return Bearer((await stub.IssueToken(pb.IssueTokenRequest(service=credential))).token).metadata


async def a_tenant(stub: "AuthServiceAsyncStub", user_per_minute: int = 0) -> str:
    request = pb.CreateTenantRequest(
        request_id=new_request_id(), display_name="Acme", rate_limits=pb.RateLimits(user_per_minute=user_per_minute)
    )
    return (await stub.CreateTenant(request, metadata=ROOT)).tenant.tenant_id


async def a_key(stub: "AuthServiceAsyncStub", tenant_id: str, *scopes: str, user_id: str = "anna") -> str:
    request = pb.CreateApiKeyRequest(
        request_id=new_request_id(), tenant_id=tenant_id, user_id=user_id, scopes=scopes or ["chat"]
    )
    return (await stub.CreateApiKey(request, metadata=ROOT)).credential


def authorize(credential: str, wanted_calls: int = 0) -> pb.AuthorizeRequest:
    return pb.AuthorizeRequest(credential=credential, method=METHOD, wanted_calls=wanted_calls)
