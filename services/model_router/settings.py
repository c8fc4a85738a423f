"""What the model router can be told."""

from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, field_validator

from libs.server.settings import ServerSettings
from services.model_router.catalogue import load
from services.model_router.ports import Patience

_TARGET: Final = r"^[a-z0-9]+:///\S+$"


class RouterSettings(ServerSettings):
    """Settings of the model router."""

    # Required here: nobody may spend money without a token, and auth knows the keys that tokens are signed with.
    auth_target: str = Field(pattern=_TARGET, description="where auth is, such as dns:///auth:50051")
    anthropic_api_key: SecretStr = Field(min_length=1, description="the key that Anthropic's API is called with")
    anthropic_base_url: str = Field(
        "https://api.anthropic.com", pattern=r"^https?://\S+$", description="where Anthropic's API is"
    )
    catalogue_path: Path | None = Field(
        None,
        validate_default=True,
        description="TOML file of models, prices and tiers; unset: the one that comes with the service",
    )
    default_tier: str = Field(
        "balanced", pattern="^(fast|balanced|deep)$", description="tier of requests that name none"
    )
    default_max_tokens: int = Field(
        4096, ge=1, le=128_000, description="longest answer, in tokens, of requests that say nothing (thinking counts)"
    )
    max_tries: int = Field(4, ge=1, le=20, description="models tried for one request, at most")
    max_upstream_calls: int = Field(256, ge=1, description="calls at the provider at once, at most")
    max_upstream_wait: float = Field(
        2.0, ge=0, description="seconds a request waits for one of them to end before it is refused with OVERLOADED"
    )
    connect_timeout: float = Field(5.0, gt=0, description="seconds until a connection to the provider must stand")
    first_text_timeout: float = Field(
        30.0, gt=0, description="seconds a streamed answer may take to begin before the next model is tried"
    )
    silence_timeout: float = Field(60.0, gt=0, description="seconds a streamed answer may pause")
    answer_timeout: float = Field(
        120.0,
        gt=0,
        description="seconds one try may take altogether; one that is not streamed gets an equal share of what the "
        "deadline leaves for the models still to be tried, if that is less",
    )
    stream_interval: float = Field(
        0.025, ge=0, le=1, description="seconds between two pieces of a streamed answer, at least"
    )
    monitoring_target: str = Field(
        "",
        pattern=f"^$|{_TARGET}",
        description="where usage is reported, such as dns:///monitoring:50051; empty: nowhere",
    )

    def patience(self) -> Patience:
        """How long a try may take."""
        return Patience(self.first_text_timeout, self.silence_timeout, self.answer_timeout)

    @field_validator("catalogue_path")
    @classmethod
    def _is_usable(cls, path: Path | None) -> Path | None:
        # A CatalogueError is a ValueError that names every fault.
        load(path)
        return path
