"""The front door with an auth that a test holds up, limits and takes away."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.auth.v1 import auth_pb2
from libs.core.context import RequestContext, scope
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from libs.server.spec import Authenticated
from libs.testing.clock import ManualClock
from services.conversation.adapters.authorizer import FrontDoor
from services.conversation.grants import MOST_WANTED

if TYPE_CHECKING:
    from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub

METHOD = "/agentmesh.conversation.v1.ConversationService/SendMessage"
TIMEOUT = 2.0


@dataclass
class FakeAuth:
    """Answers Authorize like auth does, out of one limit."""

    clock: ManualClock
    room: int = 10**6
    grants: bool = True
    fails: MeshError | None = None
    asked: list[auth_pb2.AuthorizeRequest] = field(default_factory=list)
    granted: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def Authorize(  # noqa: N802 - the contract's name
        self, request: auth_pb2.AuthorizeRequest, timeout: float
    ) -> auth_pb2.AuthorizeResponse:
        assert timeout == TIMEOUT
        self.asked.append(request)
        fails = self.fails
        # As any answer that comes over a wire, it comes later.
        await self.clock.sleep(0)
        await self.open.wait()
        if fails is not None:
            raise fails
        if self.room == 0:
            raise MeshError(Reason.RATE_LIMITED, retry_after=1)
        calls = max(1, min(request.wanted_calls, self.room // 2)) if self.grants else 1
        self.room -= calls
        self.granted += calls
        return auth_pb2.AuthorizeResponse(
            principal=auth_pb2.Principal(tenant_id="t", user_id=request.credential, scopes=["chat"]),
            internal_token=f"internal:{request.credential}",
            expire_time=Timestamp(seconds=int(self.clock.time() + 900)),
            granted_calls=calls,
            grant_duration=Duration(nanos=200_000_000) if self.grants else None,
        )


@dataclass
class House:
    """A front door, its auth and their time."""

    clock: ManualClock
    auth: FakeAuth
    door: FrontDoor

    async def call(self, credential: str = "ada", method: str = METHOD, patience: float = 30.0) -> Authenticated:
        with scope(RequestContext(Deadline.after(patience, self.clock))):
            return await self.door.authenticate(method, credential)

    async def outcome(self, credential: str = "ada") -> Reason | None:
        try:
            assert (await self.call(credential)).principal.user_id == credential
        except MeshError as error:
            return error.reason
        return None

    async def outcomes(self, calls: int) -> list[Reason | None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.outcome()) for _ in range(calls)]
        return [task.result() for task in tasks]

    async def busy(self) -> None:
        """Make `ada` a credential that calls often: 200 calls within a second."""
        for _ in range(200):
            self.clock.advance(0.005)
            await self.call()


@pytest.fixture
def house() -> House:
    clock = ManualClock()
    auth = FakeAuth(clock)
    auth.open.set()
    return House(clock, auth, FrontDoor(cast("AuthServiceAsyncStub", auth), clock, timeout=TIMEOUT))


async def test_a_quiet_credential_asks_for_each_of_its_calls_and_is_revoked_at_once(house: House) -> None:
    for _ in range(30):
        house.clock.advance(0.12)
        assert await house.outcome() is None
    assert [request.wanted_calls for request in house.auth.asked] == [1] * 30
    house.auth.fails = MeshError(Reason.REVOKED_CREDENTIALS)
    assert await house.outcome() is Reason.REVOKED_CREDENTIALS


async def test_many_calls_at_once_are_admitted_by_a_few_questions(house: House) -> None:
    assert await house.outcomes(64) == [None] * 64
    assert len(house.auth.asked) <= 3
    assert house.auth.granted >= 64


async def test_a_busy_credential_asks_rarely_and_is_revoked_when_its_grant_ends(house: House) -> None:
    await house.busy()
    house.auth.asked.clear()
    await house.busy()
    assert len(house.auth.asked) <= 15
    assert house.door.statistics().taken >= 250

    house.auth.fails = MeshError(Reason.REVOKED_CREDENTIALS)
    house.clock.advance(0.2)
    assert await house.outcome() is Reason.REVOKED_CREDENTIALS


async def test_a_grant_is_for_one_credential_and_one_method(house: House) -> None:
    await house.busy()
    await house.call()
    house.auth.asked.clear()
    await house.call("eve")
    await house.call(method=METHOD + "Again")
    assert [(request.credential, request.method) for request in house.auth.asked] == [
        ("eve", METHOD),
        ("ada", METHOD + "Again"),
    ]


@pytest.mark.parametrize("room", [0, 1, 2, 3, 40, 63])
async def test_what_the_limit_allows_is_admitted_and_not_one_more(house: House, room: int) -> None:
    house.auth.room = room
    outcomes = await house.outcomes(64)
    assert outcomes.count(None) == room
    assert outcomes.count(Reason.RATE_LIMITED) == 64 - room
    assert len(house.auth.asked) <= 16


@pytest.mark.parametrize("reason", [Reason.RATE_LIMITED, Reason.REVOKED_CREDENTIALS])
async def test_a_refusal_reaches_all_who_waited_for_it(house: House, reason: Reason) -> None:
    house.auth.fails = MeshError(reason)
    assert await house.outcomes(20) == [reason] * 20
    assert len(house.auth.asked) == 1
    house.auth.fails = None
    assert await house.outcome() is None


async def test_whoever_asks_may_be_cancelled_and_the_others_go_on(house: House) -> None:
    house.auth.open.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(house.outcome())
        others = [group.create_task(house.outcome()) for _ in range(10)]
        await house.clock.settle()
        first.cancel()
        others[3].cancel()
        await house.clock.settle()
        house.auth.open.set()
    assert first.cancelled()
    assert others[3].cancelled()
    assert [task.result() for task in others if not task.cancelled()] == [None] * 9
    # The next one to ask knew of the eight that waited with it.
    assert [request.wanted_calls for request in house.auth.asked] == [1, 9]


async def test_that_one_caller_had_no_time_says_nothing_to_the_others(house: House) -> None:
    house.auth.open.clear()
    house.auth.fails = MeshError(Reason.DEADLINE_TOO_SHORT)

    async def hasty() -> Reason | None:
        try:
            await house.call(patience=0.01)
        except MeshError as error:
            return error.reason
        return None

    async with asyncio.TaskGroup() as group:
        first = group.create_task(hasty())
        await house.clock.settle()
        others = [group.create_task(house.outcome()) for _ in range(3)]
        await house.clock.settle()
        house.auth.fails = None
        house.auth.open.set()
    assert first.result() is Reason.DEADLINE_TOO_SHORT
    assert [task.result() for task in others] == [None] * 3


@pytest.mark.parametrize("reason", [Reason.PEER_UNAVAILABLE, Reason.DEADLINE_TOO_SHORT])
async def test_while_auth_is_away_who_waits_is_remembered_together(house: House, reason: Reason) -> None:
    assert await house.outcome() is None
    house.auth.asked.clear()
    house.auth.fails = MeshError(reason)
    assert await house.outcomes(20) == [None] * 20
    assert len(house.auth.asked) == 1
    assert await house.outcome("eve") is reason
    house.clock.advance(901)
    assert await house.outcome() is reason


async def test_an_auth_that_makes_no_grants_is_asked_by_everybody_at_once(house: House) -> None:
    house.auth.grants = False
    assert await house.outcome() is None
    house.auth.asked.clear()
    house.auth.open.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(house.outcome()) for _ in range(20)]
        await house.clock.settle()
        assert [request.wanted_calls for request in house.auth.asked] == [1] * 20
        house.auth.open.set()
    assert [task.result() for task in tasks] == [None] * 20

    house.auth.grants = True
    await house.outcome()
    house.auth.asked.clear()
    assert await house.outcomes(20) == [None] * 20
    assert len(house.auth.asked) <= 3


async def test_nobody_is_asked_about_no_credential_and_more_than_auth_gives_is_never_wanted(house: House) -> None:
    assert await house.outcome("") is Reason.MISSING_CREDENTIALS
    assert house.auth.asked == []
    await house.outcomes(300)
    assert max(request.wanted_calls for request in house.auth.asked) == MOST_WANTED
