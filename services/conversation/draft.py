"""A turn's answer while it comes into being."""

from typing import Final

from libs.core.clock import Clock
from services.conversation.cache_ports import MAX_PIECES, CacheHit
from services.conversation.ports import Generated
from services.conversation.turn import (
    Answer,
    CacheLayer,
    Message,
    Report,
    Role,
    Route,
    StopReason,
    TurnRequest,
    Usage,
)

_NO_USAGE: Final = Usage()


class Draft:
    """Collects what happens in one turn. Belongs to the task that runs the turn; not for sharing."""

    __slots__ = (
        "_clock",
        "_first_text_at",
        "_kept",
        "_parts",
        "_started",
        "asked_at",
        "cache_layer",
        "confidence",
        "cost_usd_micros",
        "degraded",
        "fallback_count",
        "model",
        "question",
        "request",
        "route",
        "saved_usd_micros",
        "saw_all",
        "similarity",
        "stop_reason",
        "usage",
        "was_appended",
    )

    def __init__(self, request: TurnRequest, question: str, clock: Clock) -> None:
        self.request: Final = request
        self.question: Final = question
        self.asked_at: Final = clock.time()
        self._clock: Final = clock
        self._started: Final = clock.monotonic()
        self._first_text_at = 0.0
        self._parts: list[str] = []
        self._kept: Answer | None = None
        self.degraded: list[str] = []
        self.model = ""
        self.usage = _NO_USAGE
        self.cost_usd_micros = 0
        self.saved_usd_micros = 0
        self.cache_layer = CacheLayer.NONE
        self.similarity = 0.0
        self.route = Route.UNSPECIFIED
        self.stop_reason = StopReason.UNSPECIFIED
        self.confidence = 0.0
        self.fallback_count = 0
        self.saw_all = True
        """Whether the model was given the very history that the context fingerprint stands for."""
        self.was_appended = False

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._parts)

    @property
    def pieces(self) -> tuple[str, ...]:
        """The answer so far, as it is passed on."""
        return tuple(self._parts)

    @property
    def piece_lengths(self) -> tuple[int, ...]:
        """In characters, for a replay; empty for an answer in one piece, in too many, or for one not streamed."""
        if not self.request.streaming or not 1 < len(self._parts) <= MAX_PIECES:
            return ()
        return tuple([len(part) for part in self._parts])

    @property
    def cacheable(self) -> bool:
        """Whole, fresh answers of the model of choice that saw exactly their context are worth keeping."""
        return (
            self.route is Route.MODEL
            and self.stop_reason is StopReason.END_TURN
            and self.fallback_count == 0
            and self.saw_all
            and not self.request.options.bypass_cache
        )

    def add(self, text: str) -> None:
        """More text from the model."""
        self._text_is_there()
        self._parts.append(text)

    def degrade(self, part: str) -> None:
        """A part of the mesh was missing."""
        if part not in self.degraded:
            self.degraded.append(part)

    def generated(self, end: Generated) -> None:
        """The model has finished."""
        self.route = Route.MODEL
        self.model = end.model
        self.usage = end.usage
        self.cost_usd_micros = end.cost_usd_micros
        self.stop_reason = end.stop_reason
        self.fallback_count = end.fallback_count

    def reused(self, hit: CacheHit) -> None:
        """The cache had an answer: it costs nothing and saves what its making had cost."""
        self._text_is_there()
        self._parts = hit.pieces() if self.request.streaming else [hit.text]
        self.route = Route.CACHE
        self.model = hit.model
        self.saved_usd_micros = hit.cost_usd_micros
        self.cache_layer = hit.layer
        self.similarity = hit.similarity
        self.confidence = hit.similarity

    def fall_back(self, text: str) -> None:
        """No model could answer; what was spent on trying stays on the bill."""
        self._text_is_there()
        self._parts = [text]
        self.route = Route.FALLBACK
        self.confidence = 0.0
        self.degrade("model_router")

    def recovered(self, kept: Answer, *, was_appended: bool) -> None:
        """An earlier holder of the claim had the answer before it died: this turn is that one."""
        self._text_is_there()
        self._kept = kept
        self._parts = [kept.message.content]
        self.route = kept.report.route
        self.was_appended = was_appended

    def answer(self, message_id: str, trace_id: str) -> Answer:
        """The answer as it stands; a recovered one keeps its id and what it is known to have taken."""
        if self._kept is not None:
            return self._kept
        message = Message(message_id, Role.ASSISTANT, self.text, self._clock.time(), self.request.request_id)
        report = Report(
            model=self.model,
            usage=self.usage,
            cost_usd_micros=self.cost_usd_micros,
            saved_usd_micros=self.saved_usd_micros,
            cache_layer=self.cache_layer,
            cache_similarity=self.similarity,
            route=self.route,
            confidence=self.confidence,
            degraded=tuple(self.degraded),
            trace_id=trace_id,
            time_to_first_text=self._first_text_at - self._started,
            duration=self._clock.monotonic() - self._started,
            fallback_count=self.fallback_count,
        )
        return Answer(message, report)

    def _text_is_there(self) -> None:
        if not self._first_text_at:
            self._first_text_at = self._clock.monotonic()
