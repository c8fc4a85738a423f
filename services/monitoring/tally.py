"""What is counted: sums that can be merged in any order, so that replicas, slices and tenants add up."""

from dataclasses import dataclass, field

from services.monitoring.events import NO_TOKENS, Event, ModelCall, Tokens, Turn
from services.monitoring.histogram import Histogram


@dataclass(slots=True)
class ModelTally:
    """One model's part."""

    calls: int = 0
    """Failed ones included."""
    errors: int = 0
    cost_usd_micros: int = 0
    tokens: Tokens = NO_TOKENS

    def merge(self, other: "ModelTally") -> None:
        """Add what `other` has counted."""
        self.calls += other.calls
        self.errors += other.errors
        self.cost_usd_micros += other.cost_usd_micros
        self.tokens += other.tokens


@dataclass(slots=True)
class Tally:
    """The sums over some events."""

    turns: int = 0
    errors: int = 0
    """Turns that failed."""
    cache_hits: int = 0
    """Turns that any layer of the cache answered."""
    degraded: int = 0
    """Turns answered while a part of the mesh was missing."""
    saved_usd_micros: int = 0
    latency: Histogram = field(default_factory=Histogram)
    """How long turns took."""
    models: dict[str, ModelTally] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Count one event."""
        match event.what:
            case Turn() as turn:
                self._add_turn(turn)
            case ModelCall() as call:
                part = ModelTally(1, int(call.failed), call.cost_usd_micros, call.tokens)
                self.model(call.model).merge(part)

    def merge(self, other: "Tally") -> None:
        """Add all that `other` has counted."""
        self.turns += other.turns
        self.errors += other.errors
        self.cache_hits += other.cache_hits
        self.degraded += other.degraded
        self.saved_usd_micros += other.saved_usd_micros
        self.latency.merge(other.latency)
        for name, part in other.models.items():
            self.model(name).merge(part)

    def model(self, name: str) -> ModelTally:
        """The model's part, begun at zero if there is none yet."""
        return self.models.setdefault(name, ModelTally())

    @property
    def cost_usd_micros(self) -> int:
        """What all models cost together."""
        return sum(part.cost_usd_micros for part in self.models.values())

    @property
    def tokens(self) -> Tokens:
        """The tokens of all models together."""
        return sum((part.tokens for part in self.models.values()), NO_TOKENS)

    def _add_turn(self, turn: Turn) -> None:
        self.turns += 1
        self.errors += turn.failed
        self.cache_hits += turn.cache_hit
        self.degraded += turn.degraded
        self.saved_usd_micros += turn.saved_usd_micros
        self.latency.add(turn.duration_ms)
