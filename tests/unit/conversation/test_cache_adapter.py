"""The semantic cache as a turn reaches it: how long it waits, where it asks, what becomes of what it is told."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from libs.core.context import Principal, RequestContext, scope
from libs.core.deadline import Deadline
from libs.core.errors import Code, MeshError
from libs.mesh.status import local_error
from libs.telemetry.telemetry import Telemetry
from libs.testing.clock import ManualClock
from services.conversation.adapters.cache import SemanticCache
from services.conversation.adapters.cache_wire import affinity
from services.conversation.cache_ports import (
    CacheEntry,
    CacheHeld,
    CacheHit,
    CacheLease,
    CacheMiss,
    CacheScope,
    Unshared,
)
from services.conversation.convert import seconds_of
from services.conversation.turn import Options, Tier, Usage
from tests.unit.conversation.fakes import REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import SemanticCacheServiceAsyncStub

SCOPE = CacheScope(Options(), "", "")
LEASE = CacheLease(b"token", 5.0)
TIMEOUT = 1.0
HIT = pb.LookupResponse(hit=pb.Hit(answer="yes", piece_lengths=[1, 2]))
LED = pb.LookupResponse(lease=pb.Lease(token=b"token", ttl=Duration(seconds=5)), embedding=b"e", receipt=b"r")
NOTHING = pb.LookupResponse(embedding=b"e")
MAKING = pb.LookupResponse(embedding=b"e", held=True)

Metadata = Sequence[tuple[str, str]]


class ScriptedStub:
    """Answers lookups in turn, and then with `last`: whose answer is being made has waited all its time."""

    def __init__(self, clock: ManualClock, *answers: pb.LookupResponse | grpc.aio.AioRpcError) -> None:
        self._clock = clock
        self._answers = list(answers)
        self.last = MAKING
        self.waits: list[float] = []
        self.timeouts: list[float] = []
        self.keys: set[str] = set()
        self.puts: list[pb.PutRequest] = []
        self.releases: list[pb.ReleaseLeaseRequest] = []
        self.gate = asyncio.Event()

    def _asked(self, timeout: float, metadata: Metadata) -> None:
        self.timeouts.append(timeout)
        self.keys |= {value for key, value in metadata if key == "x-agentmesh-affinity"}

    async def Lookup(  # noqa: N802 - the contract's name
        self, request: pb.LookupRequest, timeout: float, metadata: Metadata
    ) -> pb.LookupResponse:
        self._asked(timeout, metadata)
        wait = seconds_of(request.max_wait)
        self.waits.append(wait)
        answer = self._answers.pop(0) if self._answers else self.last
        if isinstance(answer, grpc.aio.AioRpcError):
            raise answer
        if answer is MAKING:
            self._clock.advance(wait)
        return answer

    async def RenewLease(  # noqa: N802 - the contract's name
        self, request: pb.RenewLeaseRequest, timeout: float, metadata: Metadata
    ) -> pb.RenewLeaseResponse:
        self._asked(timeout, metadata)
        return pb.RenewLeaseResponse(renewed=request.lease_token == b"token")

    async def ReleaseLease(  # noqa: N802 - the contract's name
        self, request: pb.ReleaseLeaseRequest, timeout: float, metadata: Metadata
    ) -> pb.ReleaseLeaseResponse:
        self._asked(timeout, metadata)
        self.releases.append(request)
        return pb.ReleaseLeaseResponse()

    async def Put(  # noqa: N802 - the contract's name
        self, request: pb.PutRequest, timeout: float, metadata: Metadata
    ) -> pb.PutResponse:
        self._asked(timeout, metadata)
        await self.gate.wait()
        self.puts.append(request)
        return pb.PutResponse()


class Desk:
    """A cache behind a scripted stub, and callers of it."""

    def __init__(self, *answers: pb.LookupResponse | grpc.aio.AioRpcError) -> None:
        self.clock = ManualClock()
        self.stub = ScriptedStub(self.clock, *answers)
        self.telemetry = Telemetry.local("test")
        stub = cast("SemanticCacheServiceAsyncStub", self.stub)
        self.cache = SemanticCache(stub, timeout=TIMEOUT, telemetry=self.telemetry, clock=self.clock)

    def caller(self, tenant: str = "tenant-one", user: str = "ada") -> RequestContext:
        return RequestContext(Deadline.after(60.0, self.clock), principal=Principal(tenant, user))

    async def look(self, max_wait: float, question: str = "Hi?") -> CacheHit | CacheMiss:
        """A lookup, and the wait if there is something to wait for."""
        with scope(self.caller()):
            found = await self.cache.lookup(SCOPE, question, max_wait)
            return await self.cache.wait(SCOPE, question, found) if isinstance(found, CacheHeld) else found

    def put(self, request_id: str = REQUEST_ID, lease: CacheLease | None = LEASE, pieces: tuple[int, ...] = ()) -> None:
        entry = CacheEntry(request_id, SCOPE, "Hi?", "yes", "m", Usage(), 1, pieces, CacheMiss(b"e", lease, b"r"))
        with scope(self.caller()):
            self.cache.put_later(entry)

    @asynccontextmanager
    async def working(self, writes: int = 1) -> "AsyncIterator[None]":
        """While writes are sent; ends once there were so many (or will hardly be), and time for one more."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.cache.run())
            yield
            for _ in range(100 * writes):
                if len(self.stub.puts) + len(self.stub.releases) >= writes:
                    break
                await self.clock.settle(1)
            await self.clock.settle()
            task.cancel()


async def test_a_hit_is_one_call_that_may_take_no_longer_than_without_waiting() -> None:
    desk = Desk(HIT)
    found = await desk.look(10.0)
    assert isinstance(found, CacheHit)
    assert found.pieces() == ["y", "es"]
    assert desk.stub.timeouts == [TIMEOUT]
    # What is left over of the timeout is for the search, or for another replica after the wait.
    assert desk.stub.waits[0] < TIMEOUT / 2


async def test_a_leader_gets_its_lease_at_once() -> None:
    desk = Desk(LED)
    assert await desk.look(10.0) == CacheMiss(b"e", LEASE, b"r")
    assert len(desk.stub.waits) == 1


async def test_who_waits_asks_until_the_answer_is_there() -> None:
    desk = Desk(MAKING, MAKING, MAKING, HIT)
    assert isinstance(await desk.look(10.0), CacheHit)
    assert len(desk.stub.waits) == 4
    # Once it is known that somebody has it made, fewer calls do, though a replica that hangs is noticed a bit later.
    assert desk.stub.waits[1:] == [TIMEOUT] * 3
    assert max(desk.stub.timeouts) < 2 * TIMEOUT


async def test_who_waits_leads_once_the_leader_is_gone() -> None:
    desk = Desk(MAKING, LED)
    assert await desk.look(10.0) == CacheMiss(b"e", LEASE, b"r")


@pytest.mark.parametrize("max_wait", [0.1, 1.0, 10.0])
async def test_nobody_waits_longer_than_it_said(max_wait: float) -> None:
    desk = Desk()
    began = desk.clock.monotonic()
    assert await desk.look(max_wait) == CacheMiss(b"e")
    assert desk.clock.monotonic() - began == pytest.approx(max_wait, abs=1e-3)
    assert sum(desk.stub.waits) == pytest.approx(max_wait, abs=1e-3)


async def test_an_empty_answer_means_that_there_is_nothing_to_wait_for() -> None:
    desk = Desk(NOTHING)
    assert await desk.look(10.0) == CacheMiss(b"e")
    assert len(desk.stub.waits) == 1


async def test_who_does_not_wait_asks_for_no_lease() -> None:
    desk = Desk()
    assert await desk.look(0.0) == CacheMiss(b"e")
    assert desk.stub.waits == [0.0]


HANGS = local_error(Code.DEADLINE_EXCEEDED, "hangs")


async def test_a_cache_that_is_away_is_not_asked_again() -> None:
    desk = Desk(HANGS)
    with pytest.raises(MeshError):
        await desk.look(10.0)
    assert desk.stub.timeouts == [TIMEOUT]


async def test_a_replica_that_goes_away_during_the_wait_is_survived() -> None:
    desk = Desk(MAKING, HANGS, MAKING, HIT)
    assert isinstance(await desk.look(10.0), CacheHit)
    assert desk.stub.timeouts[2] == TIMEOUT


async def test_a_cache_that_goes_away_during_the_wait_ends_it() -> None:
    desk = Desk(MAKING, HANGS, HANGS)
    with pytest.raises(MeshError):
        await desk.look(10.0)
    assert len(desk.stub.waits) == 3


async def test_a_question_that_is_too_long_for_the_cache_is_a_miss_without_a_call() -> None:
    desk = Desk(HIT)
    assert await desk.look(10.0, "\u4e2d" * 11_000) == CacheMiss()
    assert desk.stub.waits == []


async def test_all_that_is_said_about_a_question_goes_to_one_replica() -> None:
    desk = Desk(LED)
    desk.stub.gate.set()
    await desk.look(10.0)
    async with desk.working(writes=2):
        desk.put()
        with scope(desk.caller(user="eve")):
            assert await desk.cache.renew(SCOPE, "Hi?", LEASE)
            desk.cache.release_later(SCOPE, "Hi?", LEASE, Unshared.FAILED)
    assert len(desk.stub.timeouts) == 4
    assert len(desk.stub.keys) == 1


def test_scopes_are_spread_over_the_replicas() -> None:
    def key(tenant: str, user: str, where: CacheScope) -> str:
        with scope(Desk().caller(tenant, user)):
            ((_, value),) = affinity(where)
        return value

    personal = CacheScope(Options(), "", "context")
    assert key("t", "ada", SCOPE) == key("t", "eve", SCOPE)
    assert key("t", "ada", personal) != key("t", "eve", personal)
    others = [
        CacheScope(Options(Tier.DEEP), "", ""),
        CacheScope(Options(model="m"), "", ""),
        CacheScope(Options(language="de"), "", ""),
        CacheScope(Options(), "prompt", ""),
        CacheScope(Options(), "", "", "tools"),
        personal,
    ]
    keys = {key("t", "ada", where) for where in (SCOPE, *others)} | {key("t2", "ada", SCOPE)}
    assert len(keys) == len(others) + 2
    # What changes from caller to caller of one answer does not count.
    assert key("t", "ada", CacheScope(Options(max_tokens=9), "", "")) == key("t", "ada", SCOPE)


async def test_an_answer_is_put_with_all_that_the_lookup_gave() -> None:
    desk = Desk()
    desk.stub.gate.set()
    async with desk.working():
        desk.put(pieces=(1, 2))
    (put,) = desk.stub.puts
    assert (put.embedding, put.lease_token, put.receipt, list(put.piece_lengths)) == (b"e", b"token", b"r", [1, 2])


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        (Unshared.FAILED, pb.RELEASE_REASON_FAILED),
        (Unshared.NOT_REUSABLE, pb.RELEASE_REASON_NOT_REUSABLE),
    ],
)
async def test_a_lease_is_given_back_with_the_reason(why: Unshared, reason: "pb.ReleaseReason.ValueType") -> None:
    desk = Desk()
    async with desk.working():
        with scope(desk.caller()):
            desk.cache.release_later(SCOPE, "Hi?", LEASE, why)
    assert [(each.text, each.lease_token, each.reason) for each in desk.stub.releases] == [("Hi?", b"token", reason)]


async def test_when_too_many_answers_wait_those_who_wait_for_one_are_told() -> None:
    desk = Desk()
    for number in range(1_000):
        desk.put(f"r{number}", lease=None)
    desk.put("one too many")
    desk.put("and one without a lease", lease=None)
    desk.stub.gate.set()
    async with desk.working(writes=1_001):
        pass
    assert len(desk.stub.puts) == 1_000
    assert [each.lease_token for each in desk.stub.releases] == [b"token"]
    assert b"agentmesh_conversation_cache_puts_lost_total 2.0" in desk.telemetry.metrics.exposition()
