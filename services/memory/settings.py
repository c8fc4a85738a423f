"""What the memory service can be told."""

from typing import Final

from pydantic import Field, SecretStr

from libs.server.settings import ServerSettings

_DAY_SECONDS: Final = 86_400
_TARGET: Final = r"^[a-z0-9]+:///\S+$"


class MemorySettings(ServerSettings):
    """Settings of the memory service."""

    # Required here: nobody may read a conversation without a token, and auth knows the keys that sign tokens.
    auth_target: str = Field(pattern=_TARGET, description="where auth is, such as dns:///auth:50051")
    service_secret: SecretStr = Field(
        min_length=1, description="the secret that services of one installation prove themselves to auth with"
    )
    redis_url: str = Field(
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
