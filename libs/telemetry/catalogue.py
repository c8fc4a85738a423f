"""Every metric of the project, declared once: what a dashboard or an alert may name stands here and nowhere else.

Names are OpenTelemetry's (dotted); Prometheus sees underscores, the unit and `_total` on counters:
`grpc.server.call.duration` in `s` becomes `grpc_server_call_duration_seconds`. Names of gRPC (gRFC A66) and of
OpenTelemetry's GenAI conventions are used where they exist, otherwise `agentmesh.<library or service>.<noun>`.
A label's values must be few: never a user, a tenant, a conversation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

UNITS: Final[Mapping[str, str]] = {
    "s": "seconds",
    "By": "bytes",
    "usd_micros": "usd_micros",
    "1": "ratio",
    # Annotations in braces say what is counted; as OpenTelemetry's exporters do, they leave no trace in the name.
    "{attempt}": "",
    "{call}": "",
    "{document}": "",
    "{entry}": "",
    "{event}": "",
    "{job}": "",
    "{lookup}": "",
    "{outcome}": "",
    "{request}": "",
    "{token}": "",
    "{transition}": "",
    "{turn}": "",
    "{endpoint}": "",
    "{part}": "",
    "{alert}": "",
}
"""Units a metric may have, and what each adds to the Prometheus name."""

# gRFC A66, in seconds: local calls take tens of microseconds, streams of a model tens of seconds.
GRPC_LATENCY_BUCKETS: Final = (
    *(0.0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008),
    *(0.01, 0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4),
    *(0.5, 0.65, 0.8, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
)
# The GenAI conventions' advice for operation durations, and (below) for token counts.
GEN_AI_LATENCY_BUCKETS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
GEN_AI_TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(13))
CONTEXT_TOKEN_BUCKETS: Final = (0.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0, 32000.0, 64000.0)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric: its OpenTelemetry name, kind, unit (a key of `UNITS`), label names and meaning."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, in `unit`; empty for other kinds."""


def exposed_name(spec: MetricSpec) -> str:
    """The name Prometheus shows, without the `_total`, `_bucket`, `_sum` and `_count` it appends itself."""
    unit = UNITS[spec.unit]
    name = spec.name.replace(".", "_")
    return name if not unit or name.endswith("_" + unit) else f"{name}_{unit}"


# libs.server
GRPC_SERVER_CALL_DURATION: Final = MetricSpec(
    "grpc.server.call.duration",
    "histogram",
    "s",
    ("grpc_method", "grpc_status"),
    "Time from a call's arrival until its status is sent.",
    GRPC_LATENCY_BUCKETS,
)
SERVER_IN_FLIGHT: Final = MetricSpec(
    "agentmesh.server.in_flight", "gauge", "{call}", (), "Calls being served; the limit is max_concurrent_calls."
)
SERVER_SHED: Final = MetricSpec(
    "agentmesh.server.shed", "counter", "{call}", ("grpc_method",), "Calls refused because the replica was full."
)
SERVER_READY: Final = MetricSpec(
    "agentmesh.server.ready", "gauge", "{part}", ("dependency",), "1 while the dependency answers, else 0."
)

# libs.mesh
GRPC_CLIENT_ATTEMPT_DURATION: Final = MetricSpec(
    "grpc.client.attempt.duration",
    "histogram",
    "s",
    ("grpc_method", "grpc_target", "grpc_status"),
    "Time of one attempt, seen from the client; a call may take several.",
    GRPC_LATENCY_BUCKETS,
)
GRPC_CLIENT_ATTEMPT_STARTED: Final = MetricSpec(
    "grpc.client.attempt.started", "counter", "{attempt}", ("grpc_method", "grpc_target"), "Attempts sent."
)
GRPC_CLIENT_CALL_DURATION: Final = MetricSpec(
    "grpc.client.call.duration",
    "histogram",
    "s",
    ("grpc_method", "grpc_target", "grpc_status"),
    "Time of one call, all its attempts and waits included.",
    GRPC_LATENCY_BUCKETS,
)
MESH_RETRIES: Final = MetricSpec(
    "agentmesh.mesh.retries", "counter", "{attempt}", ("grpc_target",), "Attempts beyond a call's first."
)
MESH_BREAKER_TRANSITIONS: Final = MetricSpec(
    "agentmesh.mesh.breaker_transitions",
    "counter",
    "{transition}",
    ("target", "to"),
    "Changes of a circuit breaker, by the state it entered: closed, open, half_open.",
)
MESH_ENDPOINTS: Final = MetricSpec(
    "agentmesh.mesh.endpoints", "gauge", "{endpoint}", ("target", "state"), "Endpoints of a channel by state."
)
MESH_EJECTED: Final = MetricSpec(
    "agentmesh.mesh.ejected", "gauge", "{endpoint}", ("target",), "Endpoints left alone because the others do better."
)
MESH_SHED: Final = MetricSpec(
    "agentmesh.mesh.shed",
    "counter",
    "{attempt}",
    ("target",),
    "Attempts not sent: every endpoint at its limit, or the channel throttling itself.",
)

# libs.telemetry
USAGE_DROPPED: Final = MetricSpec(
    "agentmesh.usage.dropped", "counter", "{event}", (), "Usage events lost because the buffer was full."
)

# services.model_router
GEN_AI_OPERATION_DURATION: Final = MetricSpec(
    "gen_ai.client.operation.duration",
    "histogram",
    "s",
    ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"),
    "Time of one operation at the model provider; error_type is empty when it succeeded.",
    GEN_AI_LATENCY_BUCKETS,
)
GEN_AI_TOKEN_USAGE: Final = MetricSpec(
    "gen_ai.client.token.usage",
    "histogram",
    "{token}",
    ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"),
    "Tokens of one operation by type: input, output, cache_read, cache_write.",
    GEN_AI_TOKEN_BUCKETS,
)
GEN_AI_TIME_TO_FIRST_CHUNK: Final = MetricSpec(
    "gen_ai.client.operation.time_to_first_chunk",
    "histogram",
    "s",
    ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"),
    "Time until the model's first piece of output.",
    GEN_AI_LATENCY_BUCKETS,
)
ROUTER_COST: Final = MetricSpec(
    "agentmesh.router.cost", "counter", "usd_micros", ("gen_ai_request_model",), "Money spent at model providers."
)
ROUTER_FALLBACKS: Final = MetricSpec(
    "agentmesh.router.fallbacks",
    "counter",
    "{request}",
    ("gen_ai_request_model", "reason"),
    "Requests that went on to another model, by the model left and why.",
)

# services.semantic_cache
CACHE_LOOKUPS: Final = MetricSpec(
    "agentmesh.cache.lookups",
    "counter",
    "{lookup}",
    ("layer",),
    "Lookups by outcome: exact_memory, exact_redis, semantic, miss, audit, waited, unavailable.",
)
CACHE_OUTCOMES: Final = MetricSpec(
    "agentmesh.cache.outcomes",
    "counter",
    "{outcome}",
    ("outcome", "source"),
    "Whether candidates were right or wrong, by how it became known: miss, audit, feedback.",
)

# services.conversation
CONVERSATION_TURNS: Final = MetricSpec(
    "agentmesh.conversation.turns", "counter", "{turn}", ("outcome",), "Turns by how they ended."
)
CONVERSATION_DEGRADED: Final = MetricSpec(
    "agentmesh.conversation.degraded", "counter", "{turn}", ("part",), "Turns answered without a part of the mesh."
)
CONVERSATION_OUTBOX_DEPTH: Final = MetricSpec(
    "agentmesh.conversation.outbox_depth", "gauge", "{entry}", (), "Appends waiting for memory to come back."
)
CONVERSATION_CACHE_PUTS_LOST: Final = MetricSpec(
    "agentmesh.conversation.cache_puts_lost", "counter", "{entry}", (), "Answers that the cache could not be given."
)
JOBS_FINISHED: Final = MetricSpec(
    "agentmesh.jobs.finished", "counter", "{job}", ("outcome",), "Jobs that ended: succeeded, failed, cancelled."
)
JOBS_RETRIES: Final = MetricSpec("agentmesh.jobs.retries", "counter", "{job}", (), "Attempts beyond a job's first.")
JOBS_DEAD_LETTERS: Final = MetricSpec(
    "agentmesh.jobs.dead_letters", "counter", "{job}", (), "Jobs set aside after their last attempt failed."
)
JOBS_IN_FLIGHT: Final = MetricSpec("agentmesh.jobs.in_flight", "gauge", "{job}", (), "Jobs this worker is running.")

# services.memory
MEMORY_CONTEXT_TOKENS: Final = MetricSpec(
    "agentmesh.memory.context_tokens",
    "histogram",
    "{token}",
    (),
    "Estimated tokens of the contexts handed out.",
    CONTEXT_TOKEN_BUCKETS,
)


def all_specs() -> tuple[MetricSpec, ...]:
    """Every metric declared above, in the order of declaration."""
    return tuple(value for value in globals().values() if isinstance(value, MetricSpec))
