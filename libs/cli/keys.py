"""`agentmesh keys`: make, list and revoke API keys."""

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from agentmesh.auth.v1 import auth_pb2 as pb
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.cli.tenants import auth_channel
from libs.core.ids import new_request_id
from libs.mesh.errors import typed_errors


async def create_tenant(target: str, credential: str, name: str, console: Console) -> None:
    """Make a tenant and print its id."""
    async with auth_channel(target, credential) as channel:
        with typed_errors("auth"):
            response = await AuthServiceStub(channel).CreateTenant(
                pb.CreateTenantRequest(request_id=new_request_id(), display_name=name)
            )
    console.print(response.tenant.tenant_id)


async def create(target: str, credential: str, request: pb.CreateApiKeyRequest, console: Console) -> None:
    """Make a key and print it, this once."""
    async with auth_channel(target, credential) as channel:
        with typed_errors("auth"):
            response = await AuthServiceStub(channel).CreateApiKey(request)
    console.print(response.credential, soft_wrap=True, highlight=False)
    console.print("[dim]Keep it: it is shown this once.[/dim]")


async def list_keys(target: str, credential: str, tenant_id: str, console: Console) -> None:
    """Print a tenant's keys."""
    table = Table(header_style="bold")
    for heading in ("key", "name", "user", "scopes", "made", "state"):
        table.add_column(heading)
    async with auth_channel(target, credential) as channel:
        stub, token = AuthServiceStub(channel), ""
        while True:
            with typed_errors("auth"):
                page = await stub.ListApiKeys(pb.ListApiKeysRequest(tenant_id=tenant_id, page_token=token))
            for key in page.api_keys:
                scopes, made = " ".join(key.scopes), _day(key.create_time.seconds)
                table.add_row(key.key_id, key.display_name, key.user_id, scopes, made, _state(key))
            token = page.next_page_token
            if not token:
                break
    console.print(table)


async def revoke(target: str, credential: str, key_id: str, console: Console) -> None:
    """End a key's life."""
    async with auth_channel(target, credential) as channel:
        with typed_errors("auth"):
            await AuthServiceStub(channel).RevokeApiKey(
                pb.RevokeApiKeyRequest(request_id=new_request_id(), key_id=key_id)
            )
    console.print(f"{key_id} is revoked.")


def _state(key: pb.ApiKey) -> str:
    if key.HasField("revoke_time"):
        return f"revoked {_day(key.revoke_time.seconds)}"
    if key.HasField("expire_time"):
        return f"until {_day(key.expire_time.seconds)}"
    return "active"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
