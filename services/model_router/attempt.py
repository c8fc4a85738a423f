"""One try at one model, while it lasts: what has been heard of it, and what that makes it cost."""

from collections.abc import Callable
from typing import Final

from libs.core.clock import Clock
from libs.core.tokens import estimate_tokens
from services.model_router.failures import TIMEOUT
from services.model_router.models import Model
from services.model_router.outcome import Hop, Usage
from services.model_router.ports import Listener
from services.model_router.pricing import cost

Sink = Callable[[str], None]
"""Where streamed text goes at once."""

CANCELLED: Final = "cancelled"
"""The failure of a try that nobody waits for any more."""
_MAY_BE_BILLED: Final = frozenset({CANCELLED, TIMEOUT.label})
"""We stopped listening, the provider may not have stopped working. Whoever answers with an error bills nothing."""
_NOTHING: Final = Usage()


class Attempt(Listener):
    """Listens to a streamed answer, passes it on and keeps count, so that a try that breaks off is accounted too.

    Args:
        model: which is asked.
        prompt_tokens: about how long the prompt is: what a try costs at least of which nothing was heard.
        clock: time.
        sink: where text goes; None if the answer is not streamed.
    """

    __slots__ = ("_clock", "_counted", "_first_text_at", "_model", "_output", "_prompt_tokens", "_sink", "_started_at")

    def __init__(self, model: Model, prompt_tokens: int, clock: Clock, sink: Sink | None) -> None:
        self._model = model
        self._prompt_tokens = prompt_tokens
        self._clock = clock
        self._sink = sink
        self._started_at = clock.monotonic()
        self._first_text_at: float | None = None
        self._counted = _NOTHING
        self._output: list[str] = []

    def counted(self, usage: Usage) -> None:
        """See the port."""
        self._counted = usage

    def wrote(self, text: str) -> None:
        """See the port."""
        if self._first_text_at is None:
            self._first_text_at = self._clock.monotonic()
        self._output.append(text)
        if self._sink is not None:
            self._sink(text)

    def thought(self, text: str) -> None:
        """See the port."""
        self._output.append(text)

    @property
    def has_written(self) -> bool:
        """Whether any text came: then no other model can take over."""
        return self._first_text_at is not None

    @property
    def first_text_at(self) -> float:
        """When the first text came, on the clock's monotonic scale; the present until it has."""
        return self._clock.monotonic() if self._first_text_at is None else self._first_text_at

    def answered(self, usage: Usage) -> Hop:
        """The try's record, now that it succeeded; an answer that was not streamed came all at once, just now."""
        if self._first_text_at is None:
            self._first_text_at = self._clock.monotonic()
        return self._hop("", usage)

    def broke_off(self, failure: str) -> Hop:
        """The try's record, now that it failed: with what the provider counted, and an estimate of what it wrote since.

        The provider counts output at the end only; a stream that is cut short never says. Before its first count, and
        where nothing is streamed at all, the prompt is estimated too, if it may have been read.
        """
        usage = self._counted
        if usage == _NOTHING and failure in _MAY_BE_BILLED:
            usage = Usage(self._prompt_tokens)
        if self._output:
            output = estimate_tokens("".join(self._output))
            usage = Usage(
                usage.input_tokens,
                max(usage.output_tokens, output),
                usage.cache_read_input_tokens,
                usage.cache_creation_input_tokens,
            )
        return self._hop(failure, usage)

    def _hop(self, failure: str, usage: Usage) -> Hop:
        first_text = None if self._first_text_at is None else self._first_text_at - self._started_at
        duration = self._clock.monotonic() - self._started_at
        return Hop(self._model.name, failure, duration, first_text, usage, cost(self._model, usage))
