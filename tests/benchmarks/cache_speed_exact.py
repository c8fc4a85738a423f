"""How fast the same text is answered: Lookup of a semantic cache in a process of its own, beside a bare echo.

The cache is as in production: its own process, a real Redis, tokens that a real auth signed, its embedding model
loaded. Two replicas of it share the Redis, so that each layer is asked alone:

    memory    a replica that has every answer in its memory
    redis     a replica that keeps nothing in its memory
    echo      a bare grpc.aio echo of as many bytes as an answer takes, without token and deadline

All sides are called by the same closed loop of callers over bare channels, round after round, in alternating order.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import grpc
import uvloop

from agentmesh.auth.v1.auth_pb2 import CreateTenantRequest, IssueTokenRequest, Principal, ServiceCredential
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import SemanticCacheServiceStub
from agentmesh.types.v1.types_pb2 import (
    CACHE_LAYER_EXACT_MEMORY,
    CACHE_LAYER_EXACT_REDIS,
    MODEL_TIER_BALANCED,
    TokenUsage,
)
from libs.cli.stack.mesh import LocalMesh
from libs.cli.stack.plans import GRPC_SERVICES, WORKER, StackOptions
from libs.cli.stack.process import Process
from libs.cli.tenants import auth_channel
from libs.core.ids import new_request_id
from libs.core.ports import free_loopback_ports
from libs.core.rng import new_rng
from tests.benchmarks.echo_server import ECHO, echo_server
from tests.benchmarks.load import Round, closed_loop

if TYPE_CHECKING:
    from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub
    from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import SemanticCacheServiceAsyncStub

Call = Callable[[int], Awaitable[object]]
Rounds = dict[str, list[Round]]
"""By side."""
_DIRECT: Final = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
_SERVICE: Final = "semantic_cache"
_NEEDED: Final = ("auth", _SERVICE)
_TOKEN_SECONDS: Final = 3_600
_TIMEOUT: Final = 5.0
_START_SECONDS: Final = 120.0
_QUESTIONS: Final = 256
_ANSWER: Final = "An answer of the length that answers have, a few hundred characters or so. " * 6
_SCOPE: Final = pb.Scope(tier=MODEL_TIER_BALANCED, personal=False, instructions_fingerprint="0" * 32)
_WARM_UP: Final = 2


@dataclass(frozen=True, slots=True)
class ExactOptions:
    """What is measured."""

    lookups: int = 1_500
    """That a side answers in a round."""
    callers: int = 64
    rounds: int = 25
    """Measured ones, after two to warm up."""
    embeddings: bool = True
    """Whether the replicas load their embedding model."""


class CacheSide:
    """One replica, asked with the token of a service that acts for a user."""

    def __init__(self, address: str, token: str) -> None:
        self._channel: Final = grpc.aio.insecure_channel(address, _DIRECT)
        self._stub: SemanticCacheServiceAsyncStub = SemanticCacheServiceStub(self._channel)
        self._metadata: Final = (("authorization", f"Bearer {token}"),)
        self._asked = self._elsewhere = 0

    async def close(self) -> None:
        """Close its channel."""
        await self._channel.close()

    async def put(self, number: int) -> None:
        """Keep the answer to question `number`."""
        request = pb.PutRequest(
            request_id=new_request_id(),
            scope=_SCOPE,
            text=question(number),
            answer=_ANSWER,
            model="claude-sonnet-5-5",
            usage=TokenUsage(input_tokens=20, output_tokens=110),
            cost_usd_micros=1_700,
        )
        await self._stub.Put(request, metadata=self._metadata, timeout=_TIMEOUT)

    async def hit(self, number: int) -> pb.LookupResponse:
        """Ask question `number`, whose answer is kept."""
        request = pb.LookupRequest(scope=_SCOPE, text=question(number))
        response = await self._stub.Lookup(request, metadata=self._metadata, timeout=_TIMEOUT)
        if not response.HasField("hit"):
            raise RuntimeError(f"not found: {request.text}")
        return response

    def hits(self, layer: int) -> Call:
        """A call that is to be answered by `layer`; counts those that another one answered."""

        async def call(number: int) -> None:
            response = await self.hit(number)
            self._asked += 1
            self._elsewhere += response.hit.layer != layer

        return call

    def elsewhere(self) -> float:
        """The share of hits that another layer answered."""
        return self._elsewhere / max(1, self._asked)


def question(number: int) -> str:
    """One of the texts that are asked."""
    return f"What do the terms of contract {number % _QUESTIONS} say about its renewal after the first year?"


@asynccontextmanager
async def cache_mesh(options: ExactOptions) -> AsyncIterator[tuple[LocalMesh, Process, Process]]:
    """Redis, auth and two replicas of the cache, all serving: the second keeps nothing in its memory."""
    with tempfile.TemporaryDirectory(prefix="agentmesh-bench-") as directory:
        absent = dict.fromkeys({*GRPC_SERVICES, WORKER} - set(_NEEDED), 0)
        settings = {_SERVICE: {"AGENTMESH_EMBEDDINGS_ENABLED": str(options.embeddings).lower()}}
        async with LocalMesh(StackOptions(Path(directory), replicas=absent, settings=settings)) as mesh:
            (first,) = mesh.of(_SERVICE)
            (port,) = free_loopback_ports(1, new_rng())
            environment = {"AGENTMESH_GRPC_ADDRESS": f"127.0.0.1:{port}", "AGENTMESH_MEMORY_BYTES": "0"}
            plan = replace(
                first.plan, name=f"{_SERVICE}-forgetful", environment={**first.plan.environment, **environment}
            )
            second = Process(plan, mesh.directory)
            # The mesh ends it with the others.
            mesh.processes.append(second)
            await second.start()
            await second.wait_ready(_START_SECONDS)
            await mesh.wait_serving(_START_SECONDS)
            yield mesh, first, second


async def internal_token(mesh: LocalMesh) -> str:
    """What the front door passes on for a user of a new tenant."""
    async with auth_channel(mesh.target("auth"), mesh.secrets.root_key) as channel:
        auth: AuthServiceAsyncStub = AuthServiceStub(channel)
        made = await auth.CreateTenant(CreateTenantRequest(request_id=new_request_id(), display_name="benchmark"))
        user = Principal(tenant_id=made.tenant.tenant_id, user_id="ada", scopes=["chat"])
        credential = ServiceCredential(service="conversation", secret=mesh.secrets.service_secret, on_behalf_of=user)
        request = IssueTokenRequest(service=credential, lifetime_seconds=_TOKEN_SECONDS)
        return (await auth.IssueToken(request)).token


@asynccontextmanager
async def cache_sides(mesh: LocalMesh, replicas: Sequence[Process]) -> AsyncIterator[list[CacheSide]]:
    """A side for each replica, all of whose questions have answers."""
    token = await internal_token(mesh)
    sides = [CacheSide(replica.announced["grpc"], token) for replica in replicas]
    try:
        await closed_loop(sides[0].put, _QUESTIONS, 8, {})
        yield sides
    finally:
        for side in sides:
            await side.close()


async def measure_exact(options: ExactOptions) -> Rounds:
    """All sides, round after round."""
    async with (
        cache_mesh(options) as (mesh, first, second),
        cache_sides(mesh, (first, second)) as (remembering, forgetful),
        echo_server() as (address, echo_process),
        grpc.aio.insecure_channel(address, _DIRECT) as channel,
    ):
        echo: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ECHO)
        payload = (await remembering.hit(0)).SerializeToString()

        async def echoed(number: int) -> None:
            await echo(payload)

        sides: Mapping[str, Call] = {
            "echo": echoed,
            "memory": remembering.hits(CACHE_LAYER_EXACT_MEMORY),
            "redis": forgetful.hits(CACHE_LAYER_EXACT_REDIS),
        }
        servers = {"echo": echo_process, "memory": first.pid, "redis": second.pid}
        rounds = await _interleaved(sides, servers, mesh.redis.pid, options)
        for name, side in (("memory", remembering), ("redis", forgetful)):
            if side.elsewhere():
                # A replica that hears too late what was invalidated asks Redis, as it should.
                print(f"{name}: {side.elsewhere():.1%} were answered by another layer: the machine is too busy")
        return rounds


async def _interleaved(
    sides: Mapping[str, Call], servers: Mapping[str, int], redis: int, options: ExactOptions
) -> Rounds:
    rounds: Rounds = {}
    for number in range(_WARM_UP + options.rounds):
        for side in sides if number % 2 else reversed(list(sides)):
            watched = {"server": servers[side], "client": os.getpid(), "store": redis}
            measured = await closed_loop(sides[side], options.lookups, options.callers, watched)
            if number >= _WARM_UP:
                rounds.setdefault(side, []).append(measured)
    return rounds


def exact_rows(rounds: Rounds) -> list[tuple[str, ...]]:
    """A row of the table for each side: per second, p50 and p99 in ms, and processor time a call in us by process."""
    rows = []
    for side, measured in rounds.items():
        rate = median([one.per_second for one in measured])
        p50, p99 = (median([one.percentile_ms(share) for one in measured]) for share in (0.5, 0.99))
        spent = (f"{_cpu_us(measured, process):.0f}" for process in ("server", "client", "store"))
        rows.append((side, f"{rate:.0f}", f"{p50:.2f}", f"{p99:.2f}", *spent))
    return rows


def exact_figures(rounds: Rounds) -> dict[str, float]:
    """Lookups a second of each side, and what share of the echo's they are (medians of the rounds' own ratios).

    The `cpu` ratios are of calls a second of processor time of server and client, which a busy machine disturbs less.
    """
    figures = {f"exact_{side}_per_s": round(median([one.per_second for one in rounds[side]]), 1) for side in rounds}
    for side, name in (("memory", "exact_vs_echo"), ("redis", "exact_redis_vs_echo")):
        pairs = list(zip(rounds[side], rounds["echo"], strict=True))
        figures[name] = round(median([cache.per_second / echo.per_second for cache, echo in pairs]), 3)
        cpu = median([echo.cpu_ms_per_call / cache.cpu_ms_per_call for cache, echo in pairs])
        figures[f"{name}_cpu"] = round(cpu, 3)
    return figures


def _cpu_us(measured: Sequence[Round], process: str) -> float:
    return median([1e6 * one.cpu_seconds[process] / one.calls for one in measured])


def run_exact(options: ExactOptions) -> Rounds:
    """`measure_exact` on an event loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure_exact(options))
