"""One generation: try the models in order until one answers, and account for every try."""

import asyncio
from typing import Final

from libs.core.clock import Clock
from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from libs.core.money import UsdMicros
from services.model_router.attempt import Attempt, Sink
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

_CANCELLED: Final = "cancelled"
_RETRY_AFTER_SECONDS: Final = 1.0


class Generator:
    """Asks models.

    Args:
        provider: where they are.
        router: which may be asked.
        gate: how many at once.
        books: where it is accounted.
        patience: how long a try may take; shortened to what the deadline leaves.
        clock: time.
    """

    def __init__(
        self, provider: ModelProvider, router: Router, gate: Gate, books: Books, patience: Patience, clock: Clock
    ) -> None:
        self._provider = provider
        self._router = router
        self._gate = gate
        self._books = books
        self._patience = patience
        self._clock = clock

    async def run(self, request: GenerationRequest, deadline: Deadline, sink: Sink | None = None) -> Generated:
        """The answer, all at once; or, with a `sink`, only its end, after the sink got the text piece by piece.

        Cancelling this cancels the provider's request, and what was generated until then is accounted.

        Raises:
            MeshError: UNKNOWN_MODEL, CONTEXT_TOO_LONG, OVERLOADED, DEADLINE_TOO_SHORT and all MODEL_ reasons.
        """
        arrived = self._clock.monotonic()
        candidates = self._router.candidates(request)
        await self._gate.enter(deadline)
        hops: list[Hop] = []
        error = ""
        try:
            return await self._try_all(request, candidates, deadline, sink, hops, arrived)
        except MeshError as failed:
            error = failed.reason.name
            raise
        except asyncio.CancelledError:
            error = Reason.CANCELLED.name
            raise
        finally:
            self._gate.leave()
            if hops:
                duration = self._clock.monotonic() - arrived
                self._books.call_ended(CallRecord(request.request_id, tuple(hops), duration, error))

    async def _try_all(
        self,
        request: GenerationRequest,
        candidates: tuple[Candidate, ...],
        deadline: Deadline,
        sink: Sink | None,
        hops: list[Hop],
        arrived: float,
    ) -> Generated:
        failures: list[Failure] = []
        for candidate in candidates:
            attempt = Attempt(candidate.model, self._clock, sink)
            try:
                completion = await self._ask(request, candidate, deadline, attempt, streamed=sink is not None)
            except ProviderError as failed:
                failure = failed.failure
                failures.append(failure)
                go_on = failure.try_next and not attempt.has_written and len(failures) < len(candidates)
                go_on = go_on and not deadline.expired
                self._account(candidate, attempt.broke_off(failure.label), hops, fell_back=go_on)
                if not go_on:
                    raise _verdict(failures, attempt.has_written, deadline.expired) from failed
            except asyncio.CancelledError:
                self._account(candidate, attempt.broke_off(_CANCELLED), hops)
                raise
            else:
                hop = attempt.answered(completion.usage)
                self._account(candidate, hop, hops)
                first_text_at = attempt.first_text_at
                waited = (first_text_at if first_text_at is not None else self._clock.monotonic()) - arrived
                return _generated(completion, hops, waited)
        raise AssertionError("a router gives one candidate at least")

    async def _ask(
        self, request: GenerationRequest, candidate: Candidate, deadline: Deadline, attempt: Attempt, *, streamed: bool
    ) -> Completion:
        left = deadline.remaining()
        if left <= 0.0:
            raise MeshError(Reason.DEADLINE_TOO_SHORT)
        wanted = self._patience
        patience = Patience(min(wanted.first_text, left), min(wanted.silence, left), min(wanted.total, left))
        call = ModelCall(candidate.model, request, candidate.max_tokens, candidate.temperature, patience)
        if streamed:
            return await self._provider.stream(call, attempt)
        return await self._provider.complete(call)

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
