"""Broken object level authorisation, method by method: what is another's can be neither read nor changed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
import pytest

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core.errors import Reason
from tests.integration.semantic_cache.replica import Metadata, Replica, admin, caller, refusal, scope

SHARED = "How do I reset my password?"
REPHRASED = "How do I reset my password please?"
PERSONAL = "What is on my calendar?"
PENDING = "What is the weather like?"
MINE = scope(personal=True)
TENANT = "t2"
TAG = "product:1"
EVERYTHING = pb.InvalidateRequest(everything=True)
OTHER_TENANT = "another tenant"
OTHER_USER = "another user"
INTRUDERS = {OTHER_TENANT: (TENANT, "u1"), OTHER_USER: ("t1", "u2")}


@dataclass(frozen=True, slots=True)
class Victim:
    """A user of t1 with a shared answer, a personal one, and one that is being made; they carry receipts of all."""

    cache: Replica
    shared_receipt: bytes
    personal_receipt: bytes
    pending_receipt: bytes
    lease: bytes

    async def is_as_before(self) -> None:
        """Fails if somebody took or changed anything."""
        shared = await self.cache.lookup(SHARED)
        assert shared.hit.answer == "shared"
        personal = await self.cache.lookup(PERSONAL, where=MINE)
        assert personal.hit.answer == "personal"
        assert await self.cache.renew(PENDING, self.lease, where=MINE)
        kept = await self.cache.put(PENDING, "made", where=MINE, lease_token=self.lease, receipt=self.pending_receipt)
        assert not kept.outdated


@dataclass(frozen=True, slots=True)
class Intruder:
    cache: Replica
    tenant: str
    user: str

    @property
    def who(self) -> Metadata:
        return caller(self.tenant, self.user)

    @property
    def as_admin(self) -> Metadata:
        return admin(self.tenant, self.user)

    @property
    def of_the_tenant(self) -> bool:
        return self.tenant == "t1"


Attack = Callable[[Intruder, Victim], Awaitable[None]]


async def victim(cache: Replica) -> Victim:
    await cache.put(SHARED, "shared", tags=[TAG])
    await cache.put(PERSONAL, "personal", where=MINE, tags=[TAG])
    await cache.enriched(1)
    pending = await cache.lookup(PENDING, where=MINE, max_wait=1)
    return Victim(
        cache,
        (await cache.lookup(SHARED)).receipt,
        (await cache.lookup(PERSONAL, where=MINE)).receipt,
        pending.receipt,
        pending.lease.token,
    )


async def looks_up(intruder: Intruder, of: Victim) -> None:
    cache = intruder.cache
    for text in (PERSONAL, PENDING):
        response = await cache.lookup(text, who=intruder.who, where=MINE, max_wait=1, explain=True)
        assert not response.HasField("hit")
        # It neither waits for the victim's answer nor learns that there is one in the making.
        assert response.lease.token
        assert response.lease.token != of.lease
    # Nothing near to it: of the victim's tenant, what is shared.
    candidates = (await cache.lookup(PERSONAL, who=intruder.who, explain=True)).explanation.candidates
    assert all(candidate.similarity < 0.5 for candidate in candidates)
    if not intruder.of_the_tenant:
        for text in (SHARED, REPHRASED):
            response = await cache.lookup(text, who=intruder.who, explain=True)
            assert not response.HasField("hit")
            assert not response.explanation.candidates


async def puts(intruder: Intruder, of: Victim) -> None:
    cache = intruder.cache
    await cache.put(PERSONAL, "forged", who=intruder.who, where=MINE)
    await cache.put(PENDING, "forged", who=intruder.who, where=MINE, lease_token=of.lease)
    if not intruder.of_the_tenant:
        await cache.put(SHARED, "forged", who=intruder.who)
    for receipt in (of.shared_receipt, of.pending_receipt):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await cache.put("Something else", who=intruder.who, receipt=receipt)
        assert refusal(caught).reason is Reason.INVALID_FIELD


async def renews(intruder: Intruder, of: Victim) -> None:
    assert not await intruder.cache.renew(PENDING, of.lease, who=intruder.who, where=MINE)


async def releases(intruder: Intruder, of: Victim) -> None:
    for reusable in (True, False):
        await intruder.cache.release(PENDING, of.lease, reusable=reusable, who=intruder.who, where=MINE)


async def invalidates(intruder: Intruder, of: Victim) -> None:
    cache = intruder.cache
    personal = pb.ScopePrefix(personal=True, tier=types_pb2.MODEL_TIER_BALANCED)
    targets = [
        pb.InvalidateRequest(entry=pb.EntryTarget(scope=MINE, text=PERSONAL)),
        pb.InvalidateRequest(scope_prefix=personal),
    ]
    if not intruder.of_the_tenant:
        targets += [
            pb.InvalidateRequest(entry=pb.EntryTarget(scope=scope(), text=SHARED)),
            pb.InvalidateRequest(scope_prefix=pb.ScopePrefix(personal=False)),
            pb.InvalidateRequest(tag=TAG),
            pb.InvalidateRequest(everything=True),
        ]
    for target in targets:
        await cache.invalidate(target, intruder.as_admin)


async def reports(intruder: Intruder, of: Victim) -> None:
    for receipt in (of.shared_receipt, of.personal_receipt):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await intruder.cache.report(receipt, intruder.who)
        assert refusal(caught).reason is Reason.INVALID_FIELD


async def reads_statistics(intruder: Intruder, of: Victim) -> None:
    if intruder.of_the_tenant:
        # They are the tenant's, and tell of no user.
        return
    stats = await intruder.cache.stats(caller(intruder.tenant, intruder.user, "agentmesh"))
    assert (stats.lookup_count, stats.put_count, stats.indexed_entry_count, stats.saved_usd_micros) == (0, 0, 0, 0)


async def erases(intruder: Intruder, of: Victim) -> None:
    if intruder.of_the_tenant:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await intruder.cache.erase("u1", caller(intruder.tenant, intruder.user, "agentmesh"))
        assert refusal(caught).reason is Reason.MISSING_SCOPE
    else:
        assert await intruder.cache.erase("u1", intruder.as_admin) == 0


ATTACKS: dict[str, Attack] = {
    "Lookup": looks_up,
    "Put": puts,
    "RenewLease": renews,
    "ReleaseLease": releases,
    "Invalidate": invalidates,
    "ReportOutcome": reports,
    "GetStats": reads_statistics,
    "EraseUser": erases,
}
METHODS = {method.name: method for method in pb.DESCRIPTOR.services_by_name["SemanticCacheService"].methods}


def test_every_method_is_attacked() -> None:
    assert set(ATTACKS) == set(METHODS)


@pytest.mark.parametrize("intruder", INTRUDERS)
@pytest.mark.parametrize("method", ATTACKS)
async def test_what_is_anothers_is_out_of_reach(cache: Replica, method: str, intruder: str) -> None:
    attacked = await victim(cache)
    await ATTACKS[method](Intruder(cache, *INTRUDERS[intruder]), attacked)
    await attacked.is_as_before()


NOBODY: Metadata = ()
NO_TENANT = caller("", "u1")


async def call(cache: Replica, method: str, who: Metadata) -> None:
    """Call a method with a request that is valid."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "Lookup": lambda: cache.lookup(SHARED, who=who),
        "Put": lambda: cache.put(SHARED, who=who),
        "RenewLease": lambda: cache.renew(SHARED, bytes(16), who=who),
        "ReleaseLease": lambda: cache.release(SHARED, bytes(16), who=who),
        "Invalidate": lambda: cache.invalidate(EVERYTHING, who),
        "ReportOutcome": lambda: cache.report(b"receipt", who),
        "GetStats": lambda: cache.stats(who),
        "EraseUser": lambda: cache.erase("u1", who),
    }
    await calls[method]()


@pytest.mark.parametrize("method", METHODS)
async def test_without_a_tenant_nothing_is_done(cache: Replica, method: str) -> None:
    for who in (caller("", "u1"), admin("", "u1")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(cache, method, who)
        assert caught.value.code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


@pytest.mark.parametrize("method", METHODS)
async def test_clients_look_nothing_up_and_keep_nothing(cache: Replica, method: str) -> None:
    """What answers there are is between services; clients see their tenant's counters."""
    client = caller(audience="agentmesh")
    if method == "GetStats":
        await call(cache, method, client)
        return
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(cache, method, client)
    assert caught.value.code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


async def test_after_everything_of_one_tenant_went_the_others_is_there(cache: Replica) -> None:
    attacked = await victim(cache)
    await cache.put(SHARED, "theirs", who=caller(TENANT))
    await cache.invalidate(EVERYTHING, admin(TENANT))
    assert not (await cache.lookup(SHARED, who=caller(TENANT))).HasField("hit")
    await attacked.is_as_before()
