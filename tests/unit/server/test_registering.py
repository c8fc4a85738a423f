from collections.abc import Mapping

import grpc
import pytest

from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceServicer, add_AuthServiceServicer_to_server
from libs.server.registering import ChainedServer
from libs.server.spec import Access, MethodPolicy
from tests.unit.server.fakes import Harness

PUBLIC = MethodPolicy(Access.PUBLIC)


def registered_with(policies: Mapping[str, MethodPolicy]) -> ChainedServer:
    server = ChainedServer(grpc.aio.server(), Harness().chain, policies)
    add_AuthServiceServicer_to_server(AuthServiceServicer(), server)  # type: ignore[abstract]  # nothing is called
    return server


async def test_every_method_needs_a_policy() -> None:
    server = registered_with({"/agentmesh.auth.v1.AuthService/GetJwks": PUBLIC})

    with pytest.raises(ValueError, match=r"/agentmesh.auth.v1.AuthService/Authorize has no MethodPolicy") as refused:
        server.check()
    assert "GetJwks" not in str(refused.value)


async def test_a_policy_without_a_method_is_a_typing_mistake() -> None:
    server = registered_with({"/agentmesh.auth.v1.AuthService/GetJwkz": PUBLIC})

    with pytest.raises(ValueError, match=r"the MethodPolicy of /agentmesh.auth.v1.AuthService/GetJwkz has no method"):
        server.check()
