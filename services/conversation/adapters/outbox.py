"""The outbox: turns that memory could not take, in a stream until it can."""

from contextlib import suppress
from typing import Final

from agentmesh.memory.v1 import memory_pb2, memory_pb2_grpc
from libs.core.clock import Clock
from libs.core.context import RequestContext, scope
from libs.core.deadline import Deadline
from libs.core.errors import Code, MeshError
from libs.core.rng import Rng
from libs.mesh.errors import typed_errors
from libs.store.entries import Entry
from libs.store.streams import StreamQueue
from libs.store.worker import Dead, Disposition, Done, Retry
from libs.telemetry import catalogue
from libs.telemetry.logs import Logger
from libs.telemetry.metrics import Metrics
from services.conversation.adapters.authorizer import Impersonator
from services.conversation.adapters.parsing import MALFORMED, MalformedError, parsing
from services.conversation.adapters.peers import append_request
from services.conversation.jobs import RetryPolicy, backoff
from services.conversation.ports import Outbox
from services.conversation.turn import Turn

_TIMEOUT: Final = 10.0
_TOO_MANY: Final = "too many deliveries"
_DEPTH_SECONDS: Final = 5.0
# About a day of trying every minute: after that somebody should look, and the dead letters keep the turn.
DELIVERY: Final = RetryPolicy(max_attempts=1_500, backoff_seconds=0.5, backoff_max_seconds=60.0)


class StreamOutbox(Outbox):
    """Implements the port."""

    def __init__(self, queue: StreamQueue) -> None:
        self._queue: Final = queue

    async def add(self, turn: Turn) -> None:
        """Keep a turn until it is delivered."""
        fields: dict[str, bytes | str] = {
            "tenant": turn.owner.tenant_id,
            "user": turn.owner.user_id,
            "append": append_request(turn).SerializeToString(),
        }
        await self._queue.enqueue(fields)


class OutboxDepth:
    """Shows operators how many turns wait."""

    def __init__(self, queue: StreamQueue, metrics: Metrics, clock: Clock) -> None:
        self._queue: Final = queue
        self._depth: Final = metrics.gauge(catalogue.CONVERSATION_OUTBOX_DEPTH)
        self._clock: Final = clock

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            # The readiness check says that the store is away; the last known depth stands meanwhile.
            with suppress(MeshError):
                self._depth.set(await self._queue.depth())
            await self._clock.sleep(_DEPTH_SECONDS)


class OutboxWorker:
    """Delivers waiting turns to memory, on behalf of their owners."""

    def __init__(
        self,
        stub: "memory_pb2_grpc.MemoryServiceAsyncStub",
        impersonator: Impersonator,
        clock: Clock,
        rng: Rng,
        log: Logger,
    ) -> None:
        self._stub: Final = stub
        self._impersonator: Final = impersonator
        self._clock: Final = clock
        self._rng: Final = rng
        self._log: Final = log

    async def work(self, entry: Entry) -> Disposition:
        """Try to deliver one turn."""
        if entry.deliveries > DELIVERY.max_attempts:
            # The last try did not live to say so: it may be the turn itself that kills whoever delivers it.
            return self._given_up(entry, _TOO_MANY)
        try:
            await self._deliver(entry)
        except MalformedError:
            return self._given_up(entry, MALFORMED)
        except MeshError as error:
            if error.code is Code.INVALID_ARGUMENT or entry.deliveries >= DELIVERY.max_attempts:
                # Memory will never take it; somebody has to look.
                return self._given_up(entry, error.reason.name)
            # Everything else passes: also credentials that are refused while an operator mends the settings.
            delay = backoff(DELIVERY, entry.deliveries, error, self._rng)
            self._log.warning("outbox.not_delivered", reason=error.reason.name, retry_in=delay)
            return Retry(delay)
        return Done()

    def _given_up(self, entry: Entry, reason: str) -> Dead:
        self._log.error("outbox.given_up", reason=reason, deliveries=entry.deliveries)
        return Dead(reason)

    async def _deliver(self, entry: Entry) -> None:
        with parsing("queue entry"):
            tenant, user = entry.fields[b"tenant"].decode(), entry.fields[b"user"].decode()
            request = memory_pb2.AppendMessagesRequest.FromString(entry.fields[b"append"])
        context = RequestContext(Deadline.after(_TIMEOUT, self._clock))
        await self._impersonator.act_for(context, tenant, user)
        with scope(context), typed_errors("memory"):
            await self._stub.AppendMessages(request, timeout=_TIMEOUT)
