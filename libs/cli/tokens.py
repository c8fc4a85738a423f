"""An API key exchanged for a token, for services that verify tokens themselves."""

from agentmesh.auth.v1.auth_pb2 import IssueTokenRequest
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.cli.tenants import auth_channel
from libs.mesh.errors import typed_errors


async def exchange(auth_target: str, api_key: str) -> str:
    """A token for the key's own user; MeshError if auth refuses the key or cannot be reached."""
    async with auth_channel(auth_target, api_key) as channel:
        with typed_errors("auth"):
            response = await AuthServiceStub(channel).IssueToken(IssueTokenRequest(api_key=api_key))
    return response.token
