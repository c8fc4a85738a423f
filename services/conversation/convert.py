"""Contract <-> domain. Nothing is decided here."""

from functools import lru_cache
from typing import cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.conversation.v1 import conversation_pb2 as pb
from agentmesh.conversation.v1 import job_pb2
from agentmesh.types.v1 import types_pb2
from services.conversation.jobs import Job, JobError, JobState
from services.conversation.ports import Conversation
from services.conversation.turn import (
    Answer,
    CacheLayer,
    Message,
    Options,
    Owner,
    Report,
    Role,
    Route,
    Tier,
    TurnRequest,
    Usage,
)

_NANOS = 1_000_000_000


def timestamp(seconds: float) -> Timestamp:
    """Unix seconds to a Timestamp."""
    whole = int(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * _NANOS))


def unix_seconds(stamp: Timestamp) -> float:
    """A Timestamp to Unix seconds."""
    return stamp.seconds + stamp.nanos / _NANOS


def duration(seconds: float) -> Duration:
    """Seconds, not negative, to a Duration."""
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * _NANOS))


def seconds_of(span: Duration) -> float:
    """A Duration to seconds."""
    return span.seconds + span.nanos / _NANOS


def options(message: pb.GenerationOptions) -> Options:
    """How the caller wants the answer made."""
    return Options(Tier(message.tier), message.model, message.max_tokens, message.bypass_cache, message.language)


def options_proto(value: Options) -> pb.GenerationOptions:
    """The same, to be kept or sent."""
    return pb.GenerationOptions(
        tier=tier_proto(value.tier),
        model=value.model,
        max_tokens=value.max_tokens,
        bypass_cache=value.bypass_cache,
        language=value.language,
    )


def tier_proto(tier: Tier) -> "types_pb2.ModelTier.ValueType":
    """The contract's number for a tier: equal by definition, which only the type checker must be told."""
    return cast("types_pb2.ModelTier.ValueType", tier.value)


def role_proto(role: Role) -> "types_pb2.Role.ValueType":
    """The contract's number for a role."""
    return cast("types_pb2.Role.ValueType", role.value)


def layer_proto(layer: CacheLayer) -> "types_pb2.CacheLayer.ValueType":
    """The contract's number for a cache layer."""
    return cast("types_pb2.CacheLayer.ValueType", layer.value)


def turn_request(
    owner: Owner, message: pb.SendMessageRequest | pb.StreamMessageRequest, *, streaming: bool
) -> TurnRequest:
    """What was said."""
    return TurnRequest(
        owner, message.conversation_id, message.request_id, message.content, options(message.options), streaming
    )


def conversation_proto(record: Conversation) -> pb.Conversation:
    """A record for the caller."""
    return pb.Conversation(
        conversation_id=record.conversation_id,
        title=record.title,
        system_prompt=record.system_prompt,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        turn_count=record.turn_count,
    )


def message_proto(message: Message) -> pb.Message:
    """A message for the caller."""
    return pb.Message(
        message_id=message.message_id,
        role=role_proto(message.role),
        content=message.content,
        create_time=timestamp(message.create_time),
        request_id=message.request_id,
    )


def message_domain(message: pb.Message) -> Message:
    """A message as it was kept."""
    return Message(
        message.message_id,
        Role(message.role),
        message.content,
        unix_seconds(message.create_time),
        message.request_id,
    )


def usage_proto(usage: Usage) -> types_pb2.TokenUsage:
    """Tokens for the wire."""
    return types_pb2.TokenUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
    )


def usage_domain(usage: types_pb2.TokenUsage) -> Usage:
    """Tokens from the wire."""
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
    )


def report_proto(report: Report) -> pb.TurnReport:
    """What happened, for the caller."""
    return pb.TurnReport(
        model=report.model,
        usage=usage_proto(report.usage),
        cost_usd_micros=report.cost_usd_micros,
        saved_usd_micros=report.saved_usd_micros,
        cache_layer=layer_proto(report.cache_layer),
        cache_similarity=report.cache_similarity,
        route=cast("pb.Route.ValueType", report.route.value),
        confidence=report.confidence,
        degraded=report.degraded,
        trace_id=report.trace_id,
        replayed=report.replayed,
        time_to_first_text=duration(report.time_to_first_text),
        duration=duration(report.duration),
        fallback_count=report.fallback_count,
    )


def report_domain(report: pb.TurnReport) -> Report:
    """What happened, as it was kept."""
    return Report(
        model=report.model,
        usage=usage_domain(report.usage),
        cost_usd_micros=report.cost_usd_micros,
        saved_usd_micros=report.saved_usd_micros,
        cache_layer=CacheLayer(report.cache_layer),
        cache_similarity=report.cache_similarity,
        route=Route(report.route),
        confidence=report.confidence,
        degraded=tuple(report.degraded),
        trace_id=report.trace_id,
        replayed=report.replayed,
        time_to_first_text=seconds_of(report.time_to_first_text),
        duration=seconds_of(report.duration),
        fallback_count=report.fallback_count,
    )


@lru_cache(maxsize=64)
def answer_proto(answer: Answer) -> pb.SendMessageResponse:
    """The answer for the caller; also the form in which the ledger keeps it, so each is made once for both.

    Callers share the message and must not change it.
    """
    return pb.SendMessageResponse(message=message_proto(answer.message), report=report_proto(answer.report))


def answer_domain(answer: pb.SendMessageResponse) -> Answer:
    """The answer as it was kept."""
    return Answer(message_domain(answer.message), report_domain(answer.report))


def job_proto(job: Job) -> job_pb2.Job:
    """A job for the caller; also the form in which the store keeps what changes of it."""
    message = job_pb2.Job(
        job_id=job.job_id,
        conversation_id=job.conversation_id,
        state=cast("job_pb2.JobState.ValueType", job.state.value),
        revision=job.revision,
        attempt=job.attempt,
        create_time=timestamp(job.create_time),
    )
    if job.start_time:
        message.start_time.CopyFrom(timestamp(job.start_time))
    if job.finish_time:
        message.finish_time.CopyFrom(timestamp(job.finish_time))
    if job.answer is not None:
        message.message.CopyFrom(message_proto(job.answer.message))
        message.report.CopyFrom(report_proto(job.answer.report))
    if job.error is not None:
        message.error.CopyFrom(job_pb2.JobError(reason=job.error.reason, message=job.error.message))
    return message


def submission(job: Job) -> job_pb2.SubmitJobRequest:
    """What was asked for: the part of a job that never changes."""
    return job_pb2.SubmitJobRequest(
        request_id=job.request_id,
        conversation_id=job.conversation_id,
        content=job.content,
        options=options_proto(job.options),
    )


def job_domain(owner: Owner, job: job_pb2.Job, asked: job_pb2.SubmitJobRequest) -> Job:
    """A job as it was kept."""
    return Job(
        job_id=job.job_id,
        owner=owner,
        conversation_id=asked.conversation_id,
        request_id=asked.request_id,
        content=asked.content,
        options=options(asked.options),
        state=JobState(job.state),
        revision=job.revision,
        attempt=job.attempt,
        create_time=unix_seconds(job.create_time),
        start_time=unix_seconds(job.start_time),
        finish_time=unix_seconds(job.finish_time),
        answer=Answer(message_domain(job.message), report_domain(job.report)) if job.HasField("message") else None,
        error=JobError(job.error.reason, job.error.message) if job.HasField("error") else None,
    )
