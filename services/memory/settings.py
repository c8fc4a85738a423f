"""What the memory service can be told."""

from pydantic import Field

from libs.server.settings import ServerSettings

_DAY_SECONDS = 86_400


class MemorySettings(ServerSettings):
    """Settings of the memory service."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        pattern=r"^rediss?(\+cluster)?://",
        description="the durable Redis that keeps conversations: redis://, rediss:// or redis+cluster://",
    )
    redis_timeout: float = Field(1.0, gt=0, description="seconds until an unanswered command to Redis fails")
    context_tokens: int = Field(
        8_000, ge=1, le=1_000_000, description="budget of GetContext in estimated tokens when the request names none"
    )
    context_messages: int = Field(400, ge=2, le=10_000, description="messages that GetContext looks at, at most")
    tombstone_ttl: int = Field(
        7 * _DAY_SECONDS, ge=60, description="seconds for which late appends to a deleted conversation are dropped"
    )
