"""What the conversation service can be told."""

from typing import Final

from pydantic import Field

from libs.server.settings import ServerSettings

_TARGET: Final = r"^[a-z0-9]+:///\S+$"


class Settings(ServerSettings):
    """Settings of the conversation service and of its workers."""

    redis_url: str = Field(
        pattern=r"^rediss?(\+cluster)?://", description="Redis (role STATE): redis://, rediss:// or redis+cluster://"
    )
    auth_target: str = Field(pattern=_TARGET, description="the auth service, such as dns:///auth:50051")
    memory_target: str = Field(pattern=_TARGET, description="the memory service, such as dns:///memory:50051")
    semantic_cache_target: str = Field(pattern=_TARGET, description="the semantic-cache service")
    model_router_target: str = Field(pattern=_TARGET, description="the model-router service")
    monitoring_target: str = Field("", description="the monitoring service; empty reports no usage")

    max_content_bytes: int = Field(32_768, ge=1, le=262_144, description="longest message accepted, bytes of UTF-8")
    max_system_prompt_bytes: int = Field(32_768, ge=0, le=262_144, description="longest system prompt, bytes of UTF-8")
    context_max_tokens: int = Field(3_000, ge=1, le=1_000_000, description="history given to the model, in tokens")
    default_max_tokens: int = Field(
        0, ge=0, le=128_000, description="longest answer unless asked for, in tokens; 0 leaves it to the model router"
    )
    fallback_answer: str = Field(
        "", description="given when no model can answer; empty fails the turn with the reason instead"
    )
    turn_lease_seconds: float = Field(
        5.0, gt=0, description="after this long without a sign of life another replica may take a turn over"
    )
    turn_record_ttl_seconds: float = Field(
        86_400.0, gt=0, description="how long a retried request_id finds its answer, in seconds"
    )
    auth_timeout: float = Field(2.0, gt=0, description="seconds to wait for auth")
    cache_timeout: float = Field(1.0, gt=0, description="seconds to wait for the cache before going without")
    cache_wait_seconds: float = Field(
        60.0,
        ge=0,
        le=600,
        description="seconds to wait for an answer that another caller is having made, half of the time left at most; "
        "0 makes one at once. A cache that hangs delays a turn by cache_timeout, or 2.5 times that once it waits",
    )
    memory_timeout: float = Field(2.0, gt=0, description="seconds to wait for memory before going without")

    max_queued_jobs: int = Field(100_000, ge=1, description="jobs that may wait; above it new ones are refused")
    job_result_ttl_seconds: float = Field(86_400.0, gt=0, description="how long a finished job can be read, in seconds")
    worker_concurrency: int = Field(8, ge=1, description="model calls one worker process makes at a time")
    job_max_attempts: int = Field(
        8, ge=1, description="tries before a job is given up; 8 with the pauses below outlast about a minute's outage"
    )
    job_attempt_timeout: float = Field(120.0, gt=0, description="seconds one try may take")
    job_backoff_seconds: float = Field(1.0, gt=0, description="first pause between tries; doubles, with jitter")
    job_backoff_max_seconds: float = Field(60.0, gt=0, description="longest pause between tries, in seconds")
    job_takeover_seconds: float = Field(
        15.0, gt=0, description="after this long without a heartbeat a worker's job goes to another"
    )
