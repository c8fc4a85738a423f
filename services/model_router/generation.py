"""One generation: try the models in order until one answers, and account for every try."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from libs.core.clock import Clock
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from libs.core.money import UsdMicros
from services.model_router.attempt import CANCELLED, Attempt, Sink
from services.model_router.failures import Failure
from services.model_router.gate import Gate
from services.model_router.outcome import Generated, Hop
from services.model_router.ports import (
    Books,
    CallRecord,
    Completion,
    ModelCall,
    ModelProvider,
    Patience,
    ProviderError,
)
from services.model_router.prompt import GenerationRequest
from services.model_router.routing import Candidate, Router

_RETRY_AFTER_SECONDS: Final = 1.0
_LEAST_TRY_SECONDS: Final = 10.0
"""However many models are left, a try that is not streamed gets this long: less, and hardly any answer is ready."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the models are, and how they may be used."""

    provider: ModelProvider
    gate: Gate
    """How many calls at once."""
    patience: Patience
    """How long a try may take; shortened to what the deadline leaves."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A generation that is going on."""

    request: GenerationRequest
    deadline: Deadline
    sink: Sink | None
    arrived: float
    hops: list[Hop] = field(default_factory=list)


class Generator:
    """Asks models.

    Args:
        upstream: where they are.
        router: which may be asked.
        books: where it is accounted.
        clock: time.
    """

    def __init__(self, upstream: Upstream, router: Router, books: Books, clock: Clock) -> None:
        self._upstream = upstream
        self._router = router
        self._books = books
        self._clock = clock

    async def run(self, request: GenerationRequest, deadline: Deadline, sink: Sink | None = None) -> Generated:
        """The answer, all at once; or, with a `sink`, only its end, after the sink got the text piece by piece.

        Cancelling this cancels the provider's request, and what was generated until then is accounted.

        Raises:
            MeshError: UNKNOWN_MODEL, CONTEXT_TOO_LONG, OVERLOADED, DEADLINE_TOO_SHORT and all MODEL_ reasons.
        """
        call = _Call(request, deadline, sink, self._clock.monotonic())
        candidates = self._router.candidates(request)
        await self._upstream.gate.enter(deadline)
        error = ""
        try:
            return await self._try_all(call, candidates)
        except MeshError as failed:
            error = failed.reason.name
            raise
        except asyncio.CancelledError:
            # gRPC cancels what outlives its deadline, as it does what nobody waits for any more.
            error = (Reason.DEADLINE_TOO_SHORT if deadline.expired else Reason.CANCELLED).name
            raise
        finally:
            self._upstream.gate.leave()
            if call.hops:
                duration = self._clock.monotonic() - call.arrived
                self._books.call_ended(CallRecord(request.request_id, tuple(call.hops), duration, error))

    async def _try_all(self, call: _Call, candidates: tuple[Candidate, ...]) -> Generated:
        failures: list[Failure] = []
        for candidate in candidates:
            attempt = Attempt(candidate.model, candidate.prompt_tokens, self._clock, call.sink)
            try:
                completion = await self._ask(call, candidate, attempt, len(candidates) - len(failures))
            except ProviderError as failed:
                failure = failed.failure
                failures.append(failure)
                go_on = failure.try_next and not attempt.has_written and len(failures) < len(candidates)
                go_on = go_on and not call.deadline.expired
                self._account(candidate, attempt.broke_off(failure.label), call.hops, fell_back=go_on)
                if not go_on:
                    raise _verdict(failures, attempt.has_written, call.deadline.expired) from failed
            except asyncio.CancelledError:
                self._account(candidate, attempt.broke_off(CANCELLED), call.hops)
                raise
            else:
                self._account(candidate, attempt.answered(completion.usage), call.hops)
                return _generated(completion, call.hops, attempt.first_text_at - call.arrived)
        raise AssertionError("a router gives one candidate at least")

    async def _ask(self, call: _Call, candidate: Candidate, attempt: Attempt, models_left: int) -> Completion:
        patience = self._patience(call, models_left)
        asked = ModelCall(candidate.model, call.request, candidate.max_tokens, candidate.temperature, patience)
        if call.sink is not None:
            return await self._upstream.provider.stream(asked, attempt)
        return await self._upstream.provider.complete(asked)

    def _patience(self, call: _Call, models_left: int) -> Patience:
        """How long a try may take while `models_left` (itself included) may still be asked."""
        left = call.deadline.remaining()
        if left <= 0.0:
            raise MeshError(Reason.DEADLINE_TOO_SHORT)
        wanted = self._upstream.patience
        total = min(wanted.total, left)
        if call.sink is None:
            # No sign of life tells a slow answer from none: each model gets its share, so that the next is asked in
            # time. A stream needs none of this, it has to begin soon.
            total = min(total, max(left / models_left, _LEAST_TRY_SECONDS))
        return Patience(min(wanted.first_text, left), min(wanted.silence, left), total)

    def _account(self, candidate: Candidate, hop: Hop, hops: list[Hop], *, fell_back: bool = False) -> None:
        hops.append(hop)
        self._books.hop_ended(candidate.model, hop, fell_back)


def _generated(completion: Completion, hops: list[Hop], waited: float) -> Generated:
    total = UsdMicros(sum(hop.cost_usd_micros for hop in hops))
    return Generated(
        completion.text, hops[-1].model, completion.stop_reason, completion.usage, total, tuple(hops), waited
    )


def _verdict(failures: list[Failure], has_written: bool, expired: bool) -> MeshError:
    """What the caller reads when no model is left to try."""
    last = failures[-1]
    if not last.try_next:
        return MeshError(last.reason)
    if expired:
        return MeshError(Reason.DEADLINE_TOO_SHORT)
    known = [failure.retry_after for failure in failures if failure.retry_after is not None]
    # The first model that is ready again is enough.
    retry_after = min(known, default=_RETRY_AFTER_SECONDS)
    if has_written:
        return MeshError(Reason.MODEL_STREAM_BROKEN, retry_after=retry_after)
    alike = all(failure.reason is last.reason for failure in failures)
    return MeshError(last.reason if alike else Reason.MODEL_UNAVAILABLE, retry_after=retry_after)
