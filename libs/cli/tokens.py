"""An API key exchanged for a token, for services that verify tokens themselves."""

from agentmesh.auth.v1.auth_pb2 import IssueTokenRequest
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.cli.tenants import auth_channel


async def exchange(auth_target: str, api_key: str) -> str:
    """A token for the key's own user."""
    async with auth_channel(auth_target, api_key) as channel:
        response = await AuthServiceStub(channel).IssueToken(IssueTokenRequest(api_key=api_key))
    return response.token
