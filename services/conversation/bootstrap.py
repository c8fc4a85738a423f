"""The only place that constructs: the front door and the workers, from the same parts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from agentmesh.conversation.v1.conversation_pb2_grpc import add_ConversationServiceServicer_to_server
from agentmesh.conversation.v1.job_pb2_grpc import add_JobServiceServicer_to_server
from agentmesh.memory.v1.memory_pb2_grpc import MemoryServiceStub
from agentmesh.model_router.v1.model_router_pb2_grpc import ModelRouterServiceStub
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import SemanticCacheServiceStub
from libs.core.context import RequestContext, scope
from libs.core.deadline import Deadline
from libs.core.ids import random_id
from libs.mesh.options import MeshOptions
from libs.server.runtime import Runtime
from libs.server.spec import ServiceSpec
from libs.store.connection import Store, connect
from libs.store.streams import QueueLimits, StreamQueue
from libs.store.worker import PoolOptions, WorkerPool
from libs.telemetry.traces import Tracing
from services.conversation.accounting import AccountedTurns
from services.conversation.adapters import keys
from services.conversation.adapters.authorizer import FrontDoor, Impersonator
from services.conversation.adapters.cache import SemanticCache
from services.conversation.adapters.conversations import RedisConversationStore
from services.conversation.adapters.jobs import JobWorker, RedisJobStore
from services.conversation.adapters.ledger import RedisTurnLedger
from services.conversation.adapters.outbox import OutboxDepth, OutboxWorker, StreamOutbox
from services.conversation.adapters.peers import MemoryHistory, RouterModels
from services.conversation.adapters.usages import ReportedUsages
from services.conversation.agent import Agent, PassToModel, SingleIntent, StopReasonValidator
from services.conversation.conversations import Conversations
from services.conversation.generation import GenerationPolicy
from services.conversation.job_runner import JobRunner
from services.conversation.job_service import JobService
from services.conversation.job_servicer import JobServicer
from services.conversation.jobs import RetryPolicy
from services.conversation.methods import policies
from services.conversation.servicer import ConversationServicer
from services.conversation.settings import Settings
from services.conversation.turn import Owner
from services.conversation.turns import TurnPolicy, TurnPorts, TurnRunner

_OUTBOX_DELIVERIES: Final = 4
# Questions of one scope to the replica that has its index in memory.
_BY_SCOPE: Final = MeshOptions(policy="ring_hash")


class Parts:
    """What the front door and the workers share, one of each per process."""

    def __init__(self, settings: Settings, runtime: Runtime, store: Store) -> None:
        clock, telemetry = runtime.clock, runtime.telemetry
        self.auth: Final = AuthServiceStub(runtime.dial(settings.auth_target))
        self.memory: Final = MemoryServiceStub(runtime.dial(settings.memory_target))
        router = ModelRouterServiceStub(runtime.dial(settings.model_router_target))
        semantic_cache = SemanticCacheServiceStub(runtime.dial(settings.semantic_cache_target, _BY_SCOPE))
        self.impersonator: Final = Impersonator(self.auth, settings.service_secret.get_secret_value(), clock)
        self.jobs: Final = StreamQueue(store, keys.JOB_QUEUE, limits=QueueLimits(max_depth=settings.max_queued_jobs))
        self.job_store: Final = RedisJobStore(store, self.jobs, result_ttl_seconds=settings.job_result_ttl_seconds)
        self.outbox: Final = StreamQueue(store, keys.OUTBOX_QUEUE)
        self.history: Final = MemoryHistory(self.memory, settings.memory_timeout)
        self.cache: Final = SemanticCache(
            semantic_cache, timeout=settings.cache_timeout, telemetry=telemetry, clock=clock
        )
        self.usage_reporter: Final = runtime.usage_reporter(settings.monitoring_target)
        turns = TurnRunner(
            TurnPorts(
                RedisTurnLedger(
                    store,
                    lease_seconds=settings.turn_lease_seconds,
                    record_ttl_seconds=settings.turn_record_ttl_seconds,
                ),
                self.cache,
                self.history,
                StreamOutbox(self.outbox),
                RouterModels(router, settings.default_max_tokens),
            ),
            Agent(SingleIntent(), PassToModel(), StopReasonValidator()),
            TurnPolicy(
                settings.turn_lease_seconds,
                settings.cache_wait_seconds,
                GenerationPolicy(settings.context_max_tokens, settings.fallback_answer),
            ),
            clock,
        )
        usages = ReportedUsages(self.usage_reporter, telemetry.metrics, clock)
        self.turns: Final = AccountedTurns(turns, usages, clock)

    def background(self, settings: Settings, runtime: Runtime) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What every process does besides: keeping answers, emptying the outbox (all that may fill it), reporting."""
        depth = OutboxDepth(self.outbox, runtime.telemetry.metrics, runtime.clock)
        reporting = () if self.usage_reporter is None else (self.usage_reporter.run,)
        return (self.cache.run, self._outbox_pool(settings, runtime).run, depth.run, *reporting)

    def _outbox_pool(self, settings: Settings, runtime: Runtime) -> WorkerPool:
        worker = OutboxWorker(self.memory, self.impersonator, runtime.clock, runtime.rng, runtime.telemetry.log)
        options = PoolOptions(_OUTBOX_DELIVERIES, settings.job_takeover_seconds, settings.drain_grace)
        return WorkerPool(self.outbox, worker, random_id("outbox-", 12), options, runtime.clock, runtime.telemetry.log)


@asynccontextmanager
async def _parts(settings: Settings, runtime: Runtime) -> AsyncIterator[tuple[Store, Parts]]:
    async with connect(settings.redis_url) as store:
        parts = Parts(settings, runtime, store)
        # Whatever runs has ended when this block does, and the channels are still open.
        async with parts.cache:
            yield store, parts


@asynccontextmanager
async def build(settings: Settings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
    """The front door."""
    async with _parts(settings, runtime) as (store, parts):
        conversations = Conversations(RedisConversationStore(store), parts.history, runtime.clock)
        servicer = ConversationServicer(conversations, parts.turns)
        job_servicer = JobServicer(JobService(parts.job_store, conversations, runtime.clock))
        yield ServiceSpec(
            registrations=(
                partial(add_ConversationServiceServicer_to_server, servicer),
                partial(add_JobServiceServicer_to_server, job_servicer),
            ),
            services=("agentmesh.conversation.v1.ConversationService", "agentmesh.conversation.v1.JobService"),
            methods=policies(settings),
            authenticator=FrontDoor(parts.auth, runtime.clock, timeout=settings.auth_timeout),
            readiness={"redis": store.ping},
            background=parts.background(settings, runtime),
        )


@asynccontextmanager
async def build_worker(settings: Settings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
    """A worker process: no methods of its own but health, on the same parts."""
    async with _parts(settings, runtime) as (store, parts):
        yield ServiceSpec(
            registrations=(),
            services=(),
            methods={},
            authenticator=runtime.token_authenticator(),
            readiness={"redis": store.ping},
            background=(_job_pool(settings, runtime, parts).run, *parts.background(settings, runtime)),
        )


def _job_pool(settings: Settings, runtime: Runtime, parts: Parts) -> WorkerPool:
    runner = JobRunner(
        parts.job_store,
        parts.turns,
        partial(_acting_for, runtime.telemetry.tracing, parts.impersonator),
        RetryPolicy(settings.job_max_attempts, settings.job_backoff_seconds, settings.job_backoff_max_seconds),
        attempt_timeout=settings.job_attempt_timeout,
        clock=runtime.clock,
        rng=runtime.rng,
    )
    return WorkerPool(
        parts.jobs,
        JobWorker(runner, runtime.telemetry.metrics),
        random_id("worker-", 12),
        PoolOptions(settings.worker_concurrency, settings.job_takeover_seconds, settings.drain_grace),
        runtime.clock,
        runtime.telemetry.log,
    )


@asynccontextmanager
async def _acting_for(
    tracing: Tracing, impersonator: Impersonator, owner: Owner, deadline: Deadline
) -> AsyncIterator[None]:
    span = tracing.start_server_span("job", None)
    context = RequestContext(deadline, span.traceparent)
    done = False
    try:
        await impersonator.act_for(context, owner.tenant_id, owner.user_id)
        with scope(context):
            yield
        done = True
    finally:
        span.end(ok=done)
