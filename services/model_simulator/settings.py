"""Everything the simulator can be told."""

from typing import Self

from pydantic import Field, model_validator

from libs.config.settings import Settings

_MODELS = (
    "claude-haiku-5-5,claude-haiku-4-5,claude-sonnet-5-5,claude-sonnet-5,claude-sonnet-4-6,"
    "claude-opus-5-5,claude-opus-5,claude-fable-5-1"
)


class SimulatorSettings(Settings):
    """A stand-in for Anthropic's HTTP API; point an SDK's base_url at it."""

    address: str = Field("127.0.0.1:0", description="host:port to listen on; port 0 takes a free one")
    ready_file: str = Field("", description="file to write {http, pid} to as JSON once listening; empty writes none")
    seed: int = Field(1, description="seed of latencies and of faults with a probability")
    first_token_median_ms: float = Field(0, ge=0, description="median time to the first token, ms; 0 is none")
    first_token_sigma: float = Field(0, ge=0, le=5, description="sigma of its log-normal distribution; 0 is constant")
    output_token_ms: float = Field(0, ge=0, description="time from one output token to the next, ms")
    requests_per_minute: int = Field(0, ge=0, description="per organisation and model class; 0 is unlimited")
    input_tokens_per_minute: int = Field(0, ge=0, description="uncached input, likewise; 0 is unlimited")
    output_tokens_per_minute: int = Field(0, ge=0, description="likewise; 0 is unlimited")
    accepted_models: str = Field(_MODELS, description="ids of the models to serve, separated by commas")
    context_tokens: int = Field(200_000, ge=1, description="longest prompt of every model, tokens")
    max_output_tokens: int = Field(64_000, ge=1, description="largest max_tokens of every model")
    prompt_cache_minimum_tokens: int = Field(1024, ge=0, description="shortest prefix the prompt cache keeps, tokens")
    prompt_cache_entries: int = Field(100_000, ge=1, description="prefixes the prompt cache keeps at most")
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1, description="larger requests are refused with 413")
    drain_grace: float = Field(5.0, ge=0, description="seconds that calls in flight may take to end after SIGTERM")

    @model_validator(mode="after")
    def _check(self) -> Self:
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise ValueError("address must be host:port")
        if not self.model_ids:
            raise ValueError("accepted_models must name at least one model")
        return self

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The models to serve."""
        return tuple(name for part in self.accepted_models.split(",") if (name := part.strip()))

    @property
    def host(self) -> str:
        """Where to listen."""
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        """The port to listen on; 0 for a free one."""
        return int(self.address.rpartition(":")[2])
