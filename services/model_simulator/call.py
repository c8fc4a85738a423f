"""What a request asks for, after it was found valid."""

from dataclasses import dataclass, field

from services.model_simulator.text import straight


@dataclass(frozen=True, slots=True)
class Turn:
    """One message; `role` is user, assistant or system."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that an answer depends on."""

    model: str
    system: str
    turns: tuple[Turn, ...]

    question: str = field(init=False)
    """The text of the user's turns that no assistant turn follows, or of the last ones there are."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "question", _question(self.turns))


@dataclass(frozen=True, slots=True)
class Segment:
    """One block of the prompt in the order the prompt cache sees it: tools, system, messages."""

    text: str
    tokens: int
    ttl: int = 0
    """Seconds the prefix that ends here is to be cached for; 0 when the block carries no cache_control."""


@dataclass(frozen=True, slots=True)
class Call:
    """A valid request for a message."""

    prompt: Prompt
    segments: tuple[Segment, ...]
    max_tokens: int
    stop_sequences: tuple[str, ...]
    stream: bool

    @property
    def input_tokens(self) -> int:
        """Estimated tokens of the whole prompt, cached or not."""
        return sum(segment.tokens for segment in self.segments)


def _question(turns: tuple[Turn, ...]) -> str:
    last: list[str] = []
    for turn in reversed(turns):
        if turn.role == "user":
            last.append(turn.text)
        elif turn.role == "assistant" and last:
            break
    return straight("\n".join(reversed(last)))
