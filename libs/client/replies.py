"""What a client gets back, as plain values; the protobuf messages behind them stay in reach."""

from dataclasses import dataclass, field
from typing import Self

from agentmesh.conversation.v1 import conversation_pb2, job_pb2
from agentmesh.types.v1 import types_pb2


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation."""

    conversation_id: str
    title: str
    turn_count: int

    @classmethod
    def of(cls, message: conversation_pb2.Conversation) -> Self:
        """From the wire."""
        return cls(message.conversation_id, message.title, message.turn_count)


@dataclass(frozen=True, slots=True)
class Reply:
    """The agent's answer and what it took."""

    text: str
    message_id: str
    request_id: str
    model: str
    input_tokens: int
    """All input tokens, cached ones included."""
    output_tokens: int
    cost_usd_micros: int
    saved_usd_micros: int
    cache_layer: str
    """`exact_memory`, `exact_redis`, `semantic`, or empty for a fresh answer."""
    route: str
    """`model`, `cache` or `fallback`."""
    confidence: float
    degraded: tuple[str, ...]
    """Parts of the mesh that were missing."""
    trace_id: str
    replayed: bool
    """Whether this is the recorded answer to an earlier call with the same request_id."""
    duration: float
    """Seconds the service took."""
    report: conversation_pb2.TurnReport = field(repr=False)
    """Everything else that is known about the turn."""

    @classmethod
    def of(cls, message: conversation_pb2.Message, report: conversation_pb2.TurnReport) -> Self:
        """From the wire."""
        usage = report.usage
        return cls(
            text=message.content,
            message_id=message.message_id,
            request_id=message.request_id,
            model=report.model,
            input_tokens=usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd_micros=report.cost_usd_micros,
            saved_usd_micros=report.saved_usd_micros,
            cache_layer=_layer(report.cache_layer),
            route=conversation_pb2.Route.Name(report.route).removeprefix("ROUTE_").lower(),
            confidence=report.confidence,
            degraded=tuple(report.degraded),
            trace_id=report.trace_id,
            replayed=report.replayed,
            duration=report.duration.ToNanoseconds() / 1e9,
            report=report,
        )


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """A job, as it was at one revision."""

    job_id: str
    state: str
    """`queued`, `running`, `retrying`, `succeeded`, `failed` or `cancelled`."""
    revision: int
    attempt: int
    reply: Reply | None
    """Once it succeeded."""
    error: str
    """`REASON: message` of the last failed try, or empty."""

    @property
    def finished(self) -> bool:
        """Whether nothing will happen any more."""
        return self.state in {"succeeded", "failed", "cancelled"}

    @classmethod
    def of(cls, job: job_pb2.Job) -> Self:
        """From the wire."""
        return cls(
            job_id=job.job_id,
            state=job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_").lower(),
            revision=job.revision,
            attempt=job.attempt,
            reply=Reply.of(job.message, job.report) if job.HasField("message") else None,
            error=f"{job.error.reason}: {job.error.message}" if job.HasField("error") else "",
        )


def _layer(layer: "types_pb2.CacheLayer.ValueType") -> str:
    if layer == types_pb2.CACHE_LAYER_UNSPECIFIED:
        return ""
    return types_pb2.CacheLayer.Name(layer).removeprefix("CACHE_LAYER_").lower()
