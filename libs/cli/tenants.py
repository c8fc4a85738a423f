"""Tenants and keys, as operators make them."""

from typing import Final

from agentmesh.auth.v1 import auth_pb2 as pb
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.core.ids import new_request_id
from libs.mesh.channel import MeshChannel
from libs.mesh.errors import typed_errors
from libs.mesh.options import MeshOptions
from libs.mesh.service_token import StaticToken

LOCAL_SCOPES: Final = ("chat", "metrics.read", "tenant.admin")
# Trying things out and benchmarks should meet the mesh's limits, not a tenant's.
_PLENTY: Final = 100_000_000


def auth_channel(target: str, credential: str) -> MeshChannel:
    """A channel to auth that shows `credential`."""
    return MeshChannel(target, MeshOptions(token_source=StaticToken(credential)))


async def make_local_tenant(auth_target: str, root_key: str, *, user_id: str = "local") -> str:
    """A new tenant for this machine, and a key for it."""
    async with auth_channel(auth_target, root_key) as channel:
        limits = pb.RateLimits(tenant_per_minute=_PLENTY, user_per_minute=_PLENTY)
        request = pb.CreateTenantRequest(request_id=new_request_id(), display_name="local", rate_limits=limits)
        with typed_errors("auth"):
            tenant = await AuthServiceStub(channel).CreateTenant(request)
        return await make_key(channel, tenant.tenant.tenant_id, user_id)


async def make_key(channel: MeshChannel, tenant_id: str, user_id: str, name: str = "local") -> str:
    """A key of a tenant for one of its users."""
    request = pb.CreateApiKeyRequest(
        request_id=new_request_id(), tenant_id=tenant_id, user_id=user_id, display_name=name, scopes=LOCAL_SCOPES
    )
    with typed_errors("auth"):
        response = await AuthServiceStub(channel).CreateApiKey(request)
    return response.credential
