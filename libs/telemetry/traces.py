"""Traces in W3C form (https://www.w3.org/TR/trace-context): every request has a trace id, few are recorded.

An unrecorded span is a string that is passed on. Only a sampled one, in a process that has somewhere to send it,
becomes a span of the OpenTelemetry SDK, which costs twenty times as much.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Literal, Protocol

from libs.core import context
from libs.core.rng import Rng, new_rng

SpanKind = Literal["server", "client", "internal"]

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Span(Protocol):
    """A stretch of work inside a trace."""

    @property
    def traceparent(self) -> str:
        """What the next hop is told: `00-<trace id>-<span id>-<flags>`."""
        ...

    def end(self, ok: bool) -> None:
        """The work is over; `ok` is False if it failed on our side."""
        ...


class Recorder(Protocol):
    """Turns sampled spans into something that can be looked at; `libs.telemetry.otlp` exports them."""

    def start(self, name: str, kind: SpanKind, traceparent: str) -> Span:
        """Start a recorded span below `traceparent` (a valid one, or empty for a new trace)."""
        ...

    def shutdown(self) -> None:
        """Send what is waiting."""
        ...


class UnrecordedSpan:
    """A span that only passes the trace's identity on."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        self.traceparent: Final = traceparent

    def end(self, ok: bool) -> None:
        """Nothing was recorded, so nothing ends."""


class Tracing:
    """Decides which traces are recorded and starts spans.

    Args:
        service: the name spans are recorded under.
        otlp_endpoint: host:port of an OTLP/gRPC collector, or empty to record nothing.
        sample_ratio: share of the traces begun here that are sampled, 0 to 1; traces begun elsewhere keep their flag.
        rng: where new ids come from.
        recorder: overrides the exporter that `otlp_endpoint` would give.
    """

    def __init__(
        self,
        service: str,
        otlp_endpoint: str,
        sample_ratio: float,
        *,
        rng: Rng | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._ratio = sample_ratio
        self._rng = rng if rng is not None else new_rng()
        self._recorder = recorder if recorder is not None else _exporter(service, otlp_endpoint)

    def start_server_span(self, name: str, parent_traceparent: str | None) -> Span:
        """Start the span of an incoming call; a malformed parent is ignored, as the W3C asks."""
        return self.start_span(name, parent_traceparent, "server")

    def start_span(self, name: str, parent_traceparent: str | None, kind: SpanKind = "internal") -> Span:
        """Start a span below the parent, or a trace of its own without one."""
        if parent_traceparent and _TRACEPARENT.fullmatch(parent_traceparent):
            parent, sampled = parent_traceparent, int(parent_traceparent[53:], 16) & 1 == 1
        else:
            parent, sampled = "", self._ratio > 0.0 and self._rng.random() < self._ratio
        if sampled and self._recorder is not None:
            return self._recorder.start(name, kind, parent)
        return UnrecordedSpan(parent or self._new_traceparent(sampled))

    @contextmanager
    def span(self, name: str) -> Iterator[Span]:
        """Trace a block inside the current request; calls made in the block hang below it."""
        request = context.current()
        span = self.start_span(name, request.traceparent if request is not None else None)
        if request is None or isinstance(span, UnrecordedSpan):
            with _ended(span):
                yield span
            return
        # A copy: sibling tasks of the same request keep their own parent, but add to the same log line.
        with context.scope(replace(request, traceparent=span.traceparent)), _ended(span):
            yield span

    def shutdown(self) -> None:
        """Send what is waiting; blocks for some seconds at most."""
        if self._recorder is not None:
            self._recorder.shutdown()

    def _new_traceparent(self, sampled: bool) -> str:
        # `| 1`: an id of zeros is invalid.
        bits = self._rng.getrandbits
        return f"00-{bits(128) | 1:032x}-{bits(64) | 1:016x}-{'01' if sampled else '00'}"


@contextmanager
def _ended(span: Span) -> Iterator[None]:
    ok = False
    try:
        yield
        ok = True
    finally:
        span.end(ok)


def _exporter(service: str, otlp_endpoint: str) -> Recorder | None:
    if not otlp_endpoint:
        return None
    # Imported only where it is used: the SDK takes 0.3 s and 20 MB.
    from libs.telemetry.otlp import OtlpRecorder

    return OtlpRecorder(service, otlp_endpoint)
