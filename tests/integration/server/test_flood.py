"""More calls at once than a replica takes: the others must learn that, and when to come back."""

import asyncio
from collections import Counter

import grpc

from agentmesh.auth.v1.auth_pb2 import GetTenantRequest
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.core.errors import Reason
from libs.mesh.channel import MeshChannel
from libs.mesh.errors import decode
from libs.server.settings import ServerSettings
from tests.integration.server.example import Example, run

_LIMIT = ServerSettings().max_concurrent_calls
# More than C-core lets wait for a server by default, which is about as many as we let in.
_CALLS = 2_500


async def test_a_burst_beyond_the_limit_is_refused_with_advice() -> None:
    # Debugging keeps the stack that every task was made with: ten times the time, and a burst that comes in drops.
    asyncio.get_running_loop().set_debug(False)
    example = Example()
    outcomes: Counter[tuple[Reason, float | None] | None] = Counter()

    async def call(channel: MeshChannel) -> None:
        try:
            await AuthServiceStub(channel).GetTenant(GetTenantRequest(tenant_id="slow"), timeout=60)
        except grpc.aio.AioRpcError as error:
            failure = decode(error, "")
            outcomes[failure.reason, failure.retry_after] += 1
        else:
            outcomes[None] += 1
        if outcomes.total() == _CALLS - _LIMIT:
            example.leave.set()

    async with (
        run(example) as bound,
        MeshChannel(f"static:///{bound.grpc}") as channel,
        asyncio.timeout(60),
        asyncio.TaskGroup() as group,
    ):
        for _ in range(_CALLS):
            group.create_task(call(channel))

    assert outcomes == {None: _LIMIT, (Reason.OVERLOADED, 0.5): _CALLS - _LIMIT}
