"""The semantic cache as a conversation knows it, in a process of the test's own."""

import asyncio
import math
from dataclasses import dataclass, field
from itertools import count

from agentmesh.semantic_cache.v1 import semantic_cache_pb2
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import SemanticCacheServiceServicer
from agentmesh.types.v1 import types_pb2
from tests.integration.conversation.callers import Context, bearer

Place = tuple[bytes, str]
"""A scope and a question in it."""


@dataclass
class _Lease:
    token: bytes
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class FakeCache(SemanticCacheServiceServicer):
    """Finds equal questions of equal scopes; one caller at a time has an answer made, the others wait for it."""

    def __init__(self) -> None:
        self.lookups = 0
        self.kept: dict[Place, semantic_cache_pb2.PutRequest] = {}
        self.put = asyncio.Event()
        self.renewals = 0
        self.lease_seconds = 5.0
        self.hangs_after: float = math.inf
        """The number of lookups after which none is answered any more."""
        self.hung = asyncio.Event()
        self._leases: dict[Place, _Lease] = {}
        self._everyone_for_himself: set[Place] = set()
        self._numbers = count(1)

    @property
    def leases(self) -> int:
        """How many are held."""
        return len(self._leases)

    async def Lookup(  # noqa: N802 - the contract's name
        self, request: semantic_cache_pb2.LookupRequest, context: Context
    ) -> semantic_cache_pb2.LookupResponse:
        self.lookups += 1
        if self.lookups > self.hangs_after:
            self.hung.set()
            await asyncio.Event().wait()
        place = (request.scope.SerializeToString(deterministic=True), request.text)
        lease, held = b"", False
        if request.HasField("max_wait"):
            try:
                async with asyncio.timeout(request.max_wait.ToNanoseconds() / 1e9):
                    lease = await self._wait(place)
            except TimeoutError:
                held = True
        found = self.kept.get(place)
        if found is None:
            return self._nothing(lease, held)
        hit = semantic_cache_pb2.Hit(
            answer=found.answer,
            model=found.model,
            usage=found.usage,
            cost_usd_micros=found.cost_usd_micros,
            layer=types_pb2.CACHE_LAYER_EXACT_REDIS,
            similarity=1.0,
            piece_lengths=found.piece_lengths,
        )
        return semantic_cache_pb2.LookupResponse(hit=hit)

    async def _wait(self, place: Place) -> bytes:
        """Return when the answer is there or will not be; a token means that the caller has it made."""
        while place not in self.kept and place not in self._everyone_for_himself:
            held = self._leases.get(place)
            if held is None:
                token = b"lease-%d" % next(self._numbers)
                self._leases[place] = _Lease(token)
                return token
            await held.ended.wait()
        return b""

    def _nothing(self, lease: bytes, held: bool) -> semantic_cache_pb2.LookupResponse:
        response = semantic_cache_pb2.LookupResponse(embedding=b"embedding", receipt=b"receipt", held=held)
        if lease:
            response.lease.token = lease
            response.lease.ttl.FromNanoseconds(int(self.lease_seconds * 1e9))
        return response

    def expire(self) -> None:
        """As if every lease had run out."""
        for place, lease in list(self._leases.items()):
            self._end(place, lease.token)

    def _end(self, place: Place, token: bytes) -> None:
        held = self._leases.get(place)
        if held is not None and held.token == token:
            del self._leases[place]
            held.ended.set()

    async def RenewLease(  # noqa: N802 - the contract's name
        self, request: semantic_cache_pb2.RenewLeaseRequest, context: Context
    ) -> semantic_cache_pb2.RenewLeaseResponse:
        self.renewals += 1
        held = self._leases.get((request.scope.SerializeToString(deterministic=True), request.text))
        return semantic_cache_pb2.RenewLeaseResponse(renewed=held is not None and held.token == request.lease_token)

    async def ReleaseLease(  # noqa: N802 - the contract's name
        self, request: semantic_cache_pb2.ReleaseLeaseRequest, context: Context
    ) -> semantic_cache_pb2.ReleaseLeaseResponse:
        place = (request.scope.SerializeToString(deterministic=True), request.text)
        if request.reason == semantic_cache_pb2.RELEASE_REASON_NOT_REUSABLE:
            self._everyone_for_himself.add(place)
        self._end(place, request.lease_token)
        return semantic_cache_pb2.ReleaseLeaseResponse()

    async def Put(  # noqa: N802 - the contract's name
        self, request: semantic_cache_pb2.PutRequest, context: Context
    ) -> semantic_cache_pb2.PutResponse:
        assert bearer(context) == "internal:ada"
        assert request.receipt == b"receipt"
        place = (request.scope.SerializeToString(deterministic=True), request.text)
        self.kept[place] = request
        self._end(place, request.lease_token)
        self.put.set()
        return semantic_cache_pb2.PutResponse()
