"""Delivery of turns that memory could not take, to a memory over real gRPC."""

from collections.abc import AsyncIterator

import grpc
import pytest

from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from agentmesh.memory.v1.memory_pb2_grpc import MemoryServiceStub
from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.mesh.channel import MeshChannel
from libs.store.connection import Store
from libs.store.entries import Entry
from libs.store.streams import StreamQueue
from libs.store.worker import Dead, Done, Retry
from libs.telemetry import logs
from services.conversation.adapters import keys
from services.conversation.adapters.authorizer import Impersonator
from services.conversation.adapters.outbox import DELIVERY, OutboxWorker, StreamOutbox
from services.conversation.turn import Answer, Message, Owner, Report, Role, Turn
from tests.integration.conversation.peers import Peers, peers

ADA = Owner("tenant-one", "ada")
REQUEST_ID = "11111111-1111-4111-8111-111111111111"
TURN = Turn(
    ADA,
    "cnv_1",
    REQUEST_ID,
    Message("msg_1", Role.USER, "Hi?", 1_700_000_000.0, REQUEST_ID),
    Answer(Message("msg_2", Role.ASSISTANT, "Hello", 1_700_000_001.0, REQUEST_ID), Report(model="model-a")),
)


@pytest.fixture
async def around() -> AsyncIterator[Peers]:
    async with peers() as running:
        yield running


@pytest.fixture
async def worker(around: Peers) -> AsyncIterator[OutboxWorker]:
    clock = SystemClock()
    async with MeshChannel(around.target("auth")) as auth, MeshChannel(around.target("memory")) as memory:
        impersonator = Impersonator(AuthServiceStub(auth), "secret", clock)
        yield OutboxWorker(MemoryServiceStub(memory), impersonator, clock, new_rng(1), logs.get("test"))


async def entry(store: Store, deliveries: int = 1) -> Entry:
    """The turn, as it comes out of the outbox."""
    queue = StreamQueue(store, keys.OUTBOX_QUEUE)
    await StreamOutbox(queue).add(TURN)
    (read,) = await queue.read("me")
    return Entry(read.id, read.origin, read.fields, deliveries, "me")


async def test_a_turn_is_delivered_on_its_owners_behalf_and_once(
    around: Peers, worker: OutboxWorker, store: Store
) -> None:
    waiting = await entry(store)
    assert await worker.work(waiting) == Done()
    assert await worker.work(waiting) == Done()
    assert around.memory.contents("ada", "cnv_1") == ["Hi?", "Hello"]


@pytest.mark.parametrize("deliveries", [1, 40, 1_200])
@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAUTHENTICATED]
)
async def test_whatever_may_pass_is_waited_for(
    around: Peers, worker: OutboxWorker, store: Store, code: grpc.StatusCode, deliveries: int
) -> None:
    around.memory.refuses = code
    outcome = await worker.work(await entry(store, deliveries))
    assert isinstance(outcome, Retry)
    assert 0 <= outcome.seconds <= DELIVERY.backoff_max_seconds


async def test_auth_that_is_away_is_waited_for(around: Peers, worker: OutboxWorker, store: Store) -> None:
    await around.stop("auth")
    assert isinstance(await worker.work(await entry(store)), Retry)
    assert around.memory.calls == []


@pytest.mark.parametrize(
    "fields",
    [
        {b"other": b"work"},
        {b"tenant": b"tenant-one", b"user": b"ada"},
        {b"tenant": b"tenant-one", b"user": b"ada", b"append": b"\xff\xff"},
        {b"tenant": b"\xff", b"user": b"ada", b"append": b""},
    ],
)
async def test_what_is_no_turn_is_set_aside(around: Peers, worker: OutboxWorker, fields: dict[bytes, bytes]) -> None:
    assert await worker.work(Entry(b"1-0", b"1-0", fields, 1, "me")) == Dead("malformed")
    assert around.memory.calls == []


async def test_a_turn_that_keeps_killing_its_workers_is_set_aside(
    around: Peers, worker: OutboxWorker, store: Store
) -> None:
    waiting = await entry(store, DELIVERY.max_attempts + 1)
    assert await worker.work(waiting) == Dead("too many deliveries")
    assert around.memory.calls == []


async def test_what_memory_will_never_take_is_set_aside(around: Peers, worker: OutboxWorker, store: Store) -> None:
    around.memory.refuses = grpc.StatusCode.INVALID_ARGUMENT
    assert await worker.work(await entry(store)) == Dead("INVALID_FIELD")
    around.memory.refuses = grpc.StatusCode.UNAVAILABLE
    assert await worker.work(await entry(store, DELIVERY.max_attempts)) == Dead("PEER_UNAVAILABLE")
