import asyncio

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.auth.v1.auth_pb2 import IssueTokenRequest, IssueTokenResponse
from libs.core.errors import MeshError, Reason
from libs.server.service_token import ServiceTokenSource
from libs.testing.clock import ManualClock


class Auth:
    """Issues numbered tokens that live for 900 seconds."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.down = False
        self.requests: list[IssueTokenRequest] = []

    async def issue(self, request: IssueTokenRequest) -> IssueTokenResponse:
        self.requests.append(request)
        if self.down:
            raise MeshError(Reason.PEER_UNAVAILABLE)
        expires = Timestamp(seconds=int(self.clock.time()) + 900)
        return IssueTokenResponse(token=f"token-{len(self.requests)}", expire_time=expires)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def auth(clock: ManualClock) -> Auth:
    return Auth(clock)


@pytest.fixture
def source(auth: Auth, clock: ManualClock) -> ServiceTokenSource:
    return ServiceTokenSource(auth.issue, "memory", "s3cret", clock)


async def test_the_secret_is_exchanged_once(source: ServiceTokenSource, auth: Auth) -> None:
    assert source.cached() is None

    assert await source.fetch() == "token-1"

    assert source.cached() == "token-1"
    (request,) = auth.requests
    assert (request.service.service, request.service.secret) == ("memory", "s3cret")


async def test_callers_who_come_together_share_one_exchange(source: ServiceTokenSource, auth: Auth) -> None:
    async with asyncio.TaskGroup() as tasks:
        fetched = [tasks.create_task(source.fetch()) for _ in range(10)]

    assert {task.result() for task in fetched} == {"token-1"}
    assert len(auth.requests) == 1


async def test_it_is_renewed_before_it_expires(source: ServiceTokenSource, clock: ManualClock) -> None:
    await source.fetch()

    clock.advance(800)

    assert source.cached() is None
    assert await source.fetch() == "token-2"


async def test_while_auth_is_away_the_old_one_serves_until_it_expires(
    source: ServiceTokenSource, auth: Auth, clock: ManualClock
) -> None:
    await source.fetch()
    auth.down = True

    clock.advance(800)
    assert await source.fetch() == "token-1"
    # And is not asked for at every call.
    assert source.cached() == "token-1"

    clock.advance(101)
    assert source.cached() is None
    with pytest.raises(MeshError):
        await source.fetch()


def test_its_repr_keeps_the_secret(source: ServiceTokenSource) -> None:
    assert "s3cret" not in repr(source)
