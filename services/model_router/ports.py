"""What the router needs from outside. Adapters implement these; tests bring fakes that subclass them."""

from dataclasses import dataclass
from typing import Protocol

from services.model_router.failures import Failure
from services.model_router.models import Model
from services.model_router.outcome import Hop, StopReason, Usage
from services.model_router.prompt import GenerationRequest


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one try may take, in seconds; all are positive."""

    first_text: float
    """Until the first sign of an answer, if it is streamed."""
    silence: float
    """Between two signs of a streamed answer."""
    total: float
    """For the whole answer."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One try at one model."""

    model: Model
    request: GenerationRequest
    max_tokens: int
    temperature: float | None
    patience: Patience


@dataclass(frozen=True, slots=True)
class Completion:
    """A complete answer."""

    text: str
    """Empty if it was streamed."""
    stop_reason: StopReason
    usage: Usage


class ProviderError(Exception):
    """A try failed.

    Attributes:
        failure: what it means.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.label)
        self.failure = failure


class Listener(Protocol):
    """Hears a streamed answer while it comes in. Must be quick and must not raise."""

    def counted(self, usage: Usage) -> None:
        """Tokens so far, all together; may come several times."""
        ...

    def wrote(self, text: str) -> None:
        """The model wrote `text`, not empty."""
        ...

    def thought(self, text: str) -> None:
        """The model thought `text`, not empty: paid as output, shown to nobody."""
        ...


class ModelProvider(Protocol):
    """Models that can be asked. Cancelling a call cancels the request at the provider."""

    async def complete(self, call: ModelCall) -> Completion:
        """The whole answer at once. Raises ProviderError."""
        ...

    async def stream(self, call: ModelCall, listener: Listener) -> Completion:
        """The answer's end, after `listener` heard all of it. Raises ProviderError."""
        ...


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A generation that is over, for better or worse."""

    request_id: str
    hops: tuple[Hop, ...]
    """At least one."""
    duration: float
    """Seconds."""
    error_reason: str
    """A name of the error catalogue; empty if it succeeded."""


class Books(Protocol):
    """Where tries and generations are accounted; never blocks, never fails."""

    def hop_ended(self, model: Model, hop: Hop, fell_back: bool) -> None:
        """Count a try; `fell_back` if another model is tried after it."""
        ...

    def call_ended(self, record: CallRecord) -> None:
        """Count a generation. Called while its request is the current one."""
        ...
