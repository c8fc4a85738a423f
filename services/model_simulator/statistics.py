"""Counts what the simulator served, for tests and benchmarks to read."""

from collections import Counter
from dataclasses import asdict, dataclass

from services.model_simulator.usage import InputUsage


@dataclass(slots=True)
class ModelCount:
    """What one model was asked and said. Tokens are counted when they are billed: input at the start of an answer."""

    calls: int = 0
    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0


class Statistics:
    """Counters since the start or the last reset."""

    __slots__ = ("_cancelled", "_errors", "_faults", "_in_flight", "_models", "_peak", "_streams")

    def __init__(self) -> None:
        self._in_flight = 0
        self.clear()

    def __repr__(self) -> str:
        return f"Statistics(in_flight={self._in_flight}, peak={self._peak})"

    def clear(self) -> None:
        """Begin again; calls still in flight stay counted as such."""
        self._models: dict[str, ModelCount] = {}
        self._errors: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._streams = 0
        self._cancelled = 0
        self._peak = self._in_flight

    def enter(self) -> None:
        """A call has arrived."""
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)

    def leave(self) -> None:
        """A call is over, however it ended."""
        self._in_flight -= 1

    def count_started(self, model: str, usage: InputUsage, *, stream: bool) -> None:
        """A valid call of `model` begins to be answered."""
        count = self._models.get(model)
        if count is None:
            count = self._models[model] = ModelCount()
        count.calls += 1
        count.input_tokens += usage.uncached
        count.cache_creation_input_tokens += usage.written
        count.cache_read_input_tokens += usage.read
        self._streams += stream

    def count_output(self, model: str, tokens: int) -> None:
        """`tokens` were sent."""
        count = self._models.get(model)
        # A reset may have come between a call's start and its end.
        if count is not None:
            count.output_tokens += tokens

    def count_error(self, status: int) -> None:
        """A request was refused with `status`."""
        self._errors[status] += 1

    def count_fault(self, kind: str) -> None:
        """A fault was done to a call."""
        self._faults[kind] += 1

    def count_cancelled(self) -> None:
        """A client went away before its answer was complete."""
        self._cancelled += 1

    def snapshot(self) -> dict[str, object]:
        """All counters, ready for JSON."""
        models = self._models.values()
        return {
            "calls": sum(count.calls for count in models),
            "streams": self._streams,
            "input_tokens": sum(count.input_tokens for count in models),
            "cache_creation_input_tokens": sum(count.cache_creation_input_tokens for count in models),
            "cache_read_input_tokens": sum(count.cache_read_input_tokens for count in models),
            "output_tokens": sum(count.output_tokens for count in models),
            "in_flight": self._in_flight,
            "peak_in_flight": self._peak,
            "cancelled_by_client": self._cancelled,
            "errors": {str(status): count for status, count in sorted(self._errors.items())},
            "faults": dict(sorted(self._faults.items())),
            "models": {name: asdict(count) for name, count in sorted(self._models.items())},
        }
