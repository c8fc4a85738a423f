"""What the auth service can be told."""

from typing import Final

from pydantic import Field, SecretStr, field_validator

from libs.server.settings import ServerSettings
from services.auth.limits import MAX_PER_MINUTE
from services.auth.signing import decode_key

_MIN_SECRET: Final = 32


class AuthSettings(ServerSettings):
    """Settings of the auth service."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        pattern=r"^rediss?(\+cluster)?://",
        description="the durable Redis that keeps tenants, keys and limits: redis://, rediss:// or redis+cluster://",
    )
    redis_timeout: float = Field(1.0, gt=0, le=60, description="seconds until an unanswered command to Redis fails")
    signing_key: SecretStr = Field(
        description="what tokens are signed with: base64 of an Ed25519 seed of 32 bytes; the same on every replica"
    )
    previous_public_keys: str = Field(
        "",
        description="public keys of before the last rotation, whose tokens may still be alive: base64 of 32 bytes "
        "each, separated by commas",
    )
    key_pepper: SecretStr = Field(
        min_length=_MIN_SECRET,
        description="secret that API keys are hashed with, 32 characters or more; another one voids every key",
    )
    service_secret: SecretStr = Field(
        min_length=_MIN_SECRET,
        description="the secret that services of one installation prove themselves with, 32 characters or more",
    )
    root_key: SecretStr = Field(
        min_length=_MIN_SECRET, description="the operators' credential, 32 characters or more; may do everything"
    )
    token_lifetime_seconds: int = Field(
        900, ge=60, le=86_400, description="seconds that tokens of IssueToken live when the request names none"
    )
    internal_token_lifetime_seconds: int = Field(
        600, ge=60, le=3_600, description="seconds that tokens of Authorize live; at least half is left when handed out"
    )
    default_tenant_per_minute: int = Field(
        6_000, ge=1, le=MAX_PER_MINUTE, description="requests a minute of a tenant that has no limit of its own"
    )
    default_user_per_minute: int = Field(
        600,
        ge=1,
        le=MAX_PER_MINUTE,
        description="requests a minute of each user of a tenant that sets no limit for them",
    )
    default_method_per_minute: int = Field(
        0,
        ge=0,
        le=MAX_PER_MINUTE,
        description="requests a minute of each method of a tenant that sets none; 0: no limit",
    )
    burst_seconds: int = Field(
        10, ge=1, le=60, description="seconds' worth of a limit that may come at once after a pause"
    )
    grant_seconds: float = Field(
        0.2,
        ge=0,
        le=5,
        description="seconds that calls admitted ahead, for a credential that calls often, may be used, and that its "
        "revocation may take; 0: every call is asked for",
    )

    @field_validator("signing_key")
    @classmethod
    def _is_seed(cls, value: SecretStr) -> SecretStr:
        decode_key(value.get_secret_value())
        return value

    @field_validator("previous_public_keys")
    @classmethod
    def _are_keys(cls, value: str) -> str:
        _split(value)
        return value

    @property
    def signing_seed(self) -> bytes:
        """The 32 bytes behind `signing_key`."""
        return decode_key(self.signing_key.get_secret_value())

    @property
    def previous_public_key_bytes(self) -> tuple[bytes, ...]:
        """The 32 bytes of each of `previous_public_keys`."""
        return _split(self.previous_public_keys)


def _split(keys: str) -> tuple[bytes, ...]:
    return tuple(decode_key(key.strip()) for key in keys.split(",") if key.strip())
