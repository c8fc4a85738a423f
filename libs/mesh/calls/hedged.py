"""A unary call with several attempts at once, at different endpoints: the first that decides it ends the others.

gRFC A6, hedging. The first attempt is sent when the call is made, as of any call. The later ones are sent when one
fails, and by whoever waits for the call when the time for one has come: a call that nobody awaits sends nothing by
the clock.
"""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc

from libs.mesh.calls.method import CallOptions, Method
from libs.mesh.calls.requests import SendsOne
from libs.mesh.calls.unary_call import UnaryUnaryCall
from libs.mesh.endpoint import Endpoint
from libs.mesh.hedge import HedgePlan
from libs.mesh.outgoing import CallMetadata
from libs.mesh.status import finished_code, finished_failure

Q = TypeVar("Q")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Sent:
    endpoint: Endpoint
    started: float
    timeout: float


class HedgedUnaryUnaryCall(UnaryUnaryCall[Q, R], Generic[Q, R]):
    """A unary call of a method with a hedging policy. Its accessors answer for the attempt that decided it."""

    _outgoing: grpc.aio.Metadata
    _failed: grpc.aio.UnaryUnaryCall[Q, R] | None = None
    """The latest attempt that failed without deciding the call."""
    _ended: asyncio.Event | None = None
    _group: asyncio.TaskGroup | None = None
    """Of whoever waits for the call, while somebody does."""
    _timer: asyncio.Task[None] | None = None

    def __init__(
        self,
        method: Method[SendsOne[Q, grpc.aio.UnaryUnaryCall[Q, R]]],
        request: Q,
        timeout: float | None,
        metadata: CallMetadata | None,
        options: CallOptions,
    ) -> None:
        self._live: dict[grpc.aio.UnaryUnaryCall[Q, R], _Sent] = {}
        self._plan: HedgePlan | None = None
        super().__init__(method, request, timeout, metadata, options)
        self._send_due()

    def _send_to(self, endpoint: Endpoint, metadata: grpc.aio.Metadata) -> None:
        super()._send_to(endpoint, metadata)
        attempt, self._attempt = self._attempt, None
        policy = self._method.config.hedging
        if attempt is None or policy is None:
            raise RuntimeError("a hedged call without a hedging policy")
        self._outgoing = metadata
        self._live[attempt] = _Sent(endpoint, self._attempt_started, self._attempt_timeout)
        self._tried = (*self._tried, endpoint)
        if self._plan is None:
            self._plan = HedgePlan(policy, self._expires_at)
        self._plan.sent(self._attempt_started)

    def _send_due(self) -> None:
        """Send whatever is due by now."""
        plan = self._plan
        clock = self._method.core.clock
        while plan is not None and plan.due is not None and plan.due <= clock.monotonic():
            if not self._send_another():
                plan.stop()

    def _send_another(self) -> bool:
        core = self._method.core
        try:
            endpoint = core.pick(self._tried, self._key) if not self._options.wait_for_ready else self._pick_ready()
            if endpoint is None:
                return False
            # Whoever has not answered yet would not answer sooner if asked twice.
            asked = any(sent.endpoint is endpoint for sent in self._live.values())
            if asked or not core.budget.try_withdraw():
                core.discard(endpoint)
                return False
            self._send_to(endpoint, self._outgoing)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError):
            # Every endpoint is at its limit, or the channel is closed: what is in flight decides.
            return False
        core.retried += 1
        core.observer.retried()
        return True

    # Attempts end.

    def _attempt_done(self, attempt: grpc.aio.UnaryUnaryCall[Q, R]) -> None:
        core = self._method.core
        code = finished_code(attempt)
        sent = self._live.pop(attempt)
        now = core.finished(sent.endpoint, code, sent.started, sent.timeout, False)
        core.observer.attempt_finished(self._method.name, sent.endpoint.address, code, now - sent.started)
        if self._settled or self._attempt is not None:
            return
        if self._cancelled:
            decides = not self._live
        else:
            decides = code is grpc.StatusCode.OK or not self._goes_on(attempt, code, now)
        if decides:
            self._decide(attempt, code, now)

    def _goes_on(self, attempt: grpc.aio.UnaryUnaryCall[Q, R], code: grpc.StatusCode, now: float) -> bool:
        plan = self._plan
        if plan is None or not plan.failed(finished_failure(attempt, code), now):
            return False
        self._failed = attempt
        self._send_due()
        self._restart_timer()
        return bool(self._live) or plan.due is not None

    def _decide(self, attempt: grpc.aio.UnaryUnaryCall[Q, R], code: grpc.StatusCode, now: float) -> None:
        self._attempt = attempt
        self._cancel_live()
        self._settle(code, now)

    def _settle(self, code: grpc.StatusCode, now: float) -> None:
        self._group = None
        if self._plan is not None:
            self._plan.stop()
        if self._ended is not None:
            self._ended.set()
        super()._settle(code, now)

    def cancel(self) -> bool:
        """Give the call up, whatever it is doing; False if it had ended already."""
        if not self._live:
            return super().cancel()
        if self._settled or self._cancelled:
            return False
        self._cancelled = True
        self._cancel_live()
        return True

    def _cancel_live(self) -> None:
        for attempt in tuple(self._live):
            attempt.cancel()

    # Waiting.

    def __await__(self) -> Generator[None, None, R]:
        """Wait for the response of the attempt that decides."""
        return self._response().__await__()

    async def _advance(self) -> grpc.aio.UnaryUnaryCall[Q, R]:
        if self._delay is not None:
            await self._catch_up()
        if not self._settled:
            if self._turn is None:
                self._turn = asyncio.Lock()
            # As in `_catch_up`, whoever waits first does the waiting for all.
            async with self._turn:
                if not self._settled:
                    await self._hedge()
        return await super()._advance()

    async def _hedge(self) -> None:
        """Send attempts by the clock until one has decided the call."""
        self._ended = ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._restart_timer()
            try:
                # Mostly the first attempt decides, and then no other wake-up was needed.
                for attempt in tuple(self._live):
                    await self._watch(attempt)
                await ended.wait()
            except asyncio.CancelledError:
                self.cancel()
                raise
            finally:
                self._group = None
                if self._timer is not None:
                    self._timer.cancel()

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._group is not None and self._plan is not None and self._plan.due is not None:
            self._timer = self._group.create_task(self._send_on_time(self._plan))

    async def _send_on_time(self, plan: HedgePlan) -> None:
        clock = self._method.core.clock
        while plan.due is not None:
            await clock.sleep(max(0.0, plan.due - clock.monotonic()))
            self._send_due()
        if self._failed is not None and not self._live and not self._settled:
            # The attempt that a server's pushback had put off could not be sent.
            self._decide(self._failed, finished_code(self._failed), clock.monotonic())

    async def _watch(self, attempt: grpc.aio.UnaryUnaryCall[Q, R]) -> None:
        try:
            await attempt
        except grpc.aio.AioRpcError:
            pass  # Told to `_attempt_done`.
        except asyncio.CancelledError:
            # Overtaken by another attempt, unless it is us who are cancelled.
            if self._being_cancelled() and not self._settled:
                raise
        except Exception as fault:  # noqa: BLE001 - whoever waits gets it as it is
            # What cannot be sent, grpc would leave unfinished.
            self._fault = fault
            self._settle(grpc.StatusCode.UNKNOWN, self._method.core.clock.monotonic())
            self._cancel_live()
