"""Tenants and keys to test with."""

from libs.core.context import Principal
from libs.core.ids import new_request_id
from services.auth.limits import RateLimits
from services.auth.registry import NewKey
from tests.unit.auth.fakes import House

METHOD = "/agentmesh.conversation.v1.ConversationService/SendMessage"
ROOT = Principal("root", "", frozenset({"admin"}))
CHAT = frozenset({"chat"})


async def new_tenant(auth: House, limits: RateLimits | None = None) -> str:
    tenant = await auth.registry.create_tenant(ROOT, new_request_id(), "Acme", limits or RateLimits())
    return tenant.tenant_id


async def new_key(
    auth: House, tenant_id: str, user_id: str = "anna", scopes: frozenset[str] = CHAT, expire_time_ms: int = 0
) -> str:
    new = NewKey(tenant_id, user_id, "", scopes, expire_time_ms)
    return (await auth.registry.create_key(ROOT, new_request_id(), new)).credential


def key_id(credential: str) -> str:
    return credential.split("_")[1]
