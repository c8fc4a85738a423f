"""The attempts of one call, one after the other.

The first attempt is sent when the call is made, and whoever awaits the call awaits that attempt itself: no task, no
future of ours in between, and cancellation reaches the bottom. Only what has to be waited for before an attempt
(the first resolution, a token, a backoff) runs in `_advance`, as part of whoever waits for the call.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from math import inf
from typing import ClassVar, Generic, TypeVar

import grpc

from libs.core import context
from libs.core.errors import Code, MeshError
from libs.mesh.calls.method import CallOptions, Method
from libs.mesh.endpoint import Endpoint
from libs.mesh.outgoing import CallMetadata
from libs.mesh.retry import attempt_timeout
from libs.mesh.status import finished_code, finished_failure, local_error

C = TypeVar("C", bound=grpc.aio.Call)
M = TypeVar("M")


class Attempts(ABC, Generic[M, C]):
    """Makes a call's attempts and knows when it has ended."""

    replayable: ClassVar[bool] = True
    """Whether the request can be sent again; a request stream cannot."""

    # What few calls ever set stands here, so that making a call does not pay for it.
    _attempt: C | None = None
    _endpoint: Endpoint
    _attempts = 0
    _attempt_started = 0.0
    _attempt_timeout = 0.0
    _tried: tuple[Endpoint, ...] = ()
    _key = ""
    """What the call has in common with others, for a policy with affinity."""
    _delay: float | None = None
    """Seconds until the next attempt, None if no attempt is to be made."""
    _committed = False
    """Whether the caller has seen a response, after which there is no retry. Of a stream, its first one was also
    the sample of the endpoint's latency."""
    _settled = False
    _cancelled = False
    _error: grpc.aio.AioRpcError | None = None
    """Why no attempt was made."""
    _fault: Exception | None = None
    """A mistake of the caller's, such as metadata that cannot be sent, that showed only after a wait."""
    _callbacks: list[Callable[[object], None]] | None = None
    _turn: asyncio.Lock | None = None
    _waiting: asyncio.Task[None] | None = None

    def __init__(
        self, method: Method[M], timeout: float | None, metadata: CallMetadata | None, options: CallOptions
    ) -> None:
        core = method.core
        self._began = now = core.clock.monotonic()
        self._method = method
        self._metadata = metadata
        self._options = options
        if core.keyed:
            self._key = core.affinity(metadata)
        self._expires_at = expires_at = now + self._allowed(timeout)
        core.calls += 1
        if expires_at <= now:
            self._fail(Code.DEADLINE_EXCEEDED, "the deadline had passed before the call was made")
            return
        core.budget.deposit()
        try:
            if not self._launch():
                core.check_usable()
                self._delay = 0.0
        except BaseException:
            self._settle(grpc.StatusCode.UNKNOWN, now)
            raise

    @abstractmethod
    def _send(self, at: M, timeout: float, metadata: grpc.aio.Metadata) -> C:
        """Start an attempt: what the four kinds of calls differ in."""

    # Making attempts.

    def _allowed(self, timeout: float | None) -> float:
        request = context.current()
        allowed = inf if timeout is None else timeout
        if request is not None:
            allowed = min(allowed, request.deadline.remaining())
        configured = self._method.config.timeout
        if allowed == inf:
            # No call waits for ever, whoever is content to.
            return configured or self._method.core.options.default_timeout
        return allowed if configured is None or allowed < configured else configured

    def _launch(self, token: str = "") -> bool:
        """Send an attempt, if nothing has to be waited for; one that is refused settles the call."""
        core = self._method.core
        metadata = core.outgoing.build(self._metadata, token)
        if metadata is None:
            return False
        try:
            endpoint = core.pick(self._tried, self._key) if not self._options.wait_for_ready else self._pick_ready()
        except grpc.aio.AioRpcError as refusal:
            self._refuse(refusal)
            return True
        if endpoint is None:
            return False
        self._send_to(endpoint, metadata)
        return True

    def _pick_ready(self) -> Endpoint | None:
        return self._method.core.pick_ready(self._tried, self._key)

    def _send_to(self, endpoint: Endpoint, metadata: grpc.aio.Metadata) -> None:
        method = self._method
        core = method.core
        # Read after the pick: a breaker tells its probe's answer from older ones by when the attempt started.
        now = core.clock.monotonic()
        timeout = self._expires_at - now
        if method.divided is not None:
            timeout = attempt_timeout(method.divided, self._attempts, timeout)
        try:
            attempt = self._send(method.at(endpoint), timeout, metadata)
        except BaseException:
            core.discard(endpoint)
            raise
        core.started(endpoint, method.name)
        self._endpoint = endpoint
        self._attempts += 1
        self._attempt_started = now
        self._attempt_timeout = timeout
        self._attempt = attempt
        attempt.add_done_callback(self._attempt_done)

    def _attempt_done(self, attempt: C) -> None:
        core = self._method.core
        code = finished_code(attempt)
        endpoint = self._endpoint
        started = self._attempt_started
        now = core.finished(endpoint, code, started, self._attempt_timeout, self._committed)
        if core.watched:
            core.observer.attempt_finished(self._method.name, endpoint.address, code, now - started)
        if code is not grpc.StatusCode.OK and self._may_retry(attempt, code, now):
            return
        self._settle(code, now)

    def _responded(self) -> None:
        """The first response of a stream has come."""
        self._committed = True
        core = self._method.core
        now = core.clock.monotonic()
        core.observed(self._endpoint, now - self._attempt_started, now)

    def _may_retry(self, attempt: C, code: grpc.StatusCode, now: float) -> bool:
        if not self.replayable or self._committed or self._cancelled:
            return False
        method = self._method
        if method.config.retry is None:
            return False
        failure = finished_failure(attempt, code)
        self._delay = method.core.retries.delay(method.config.retry, failure, self._attempts, self._expires_at - now)
        if self._delay is None:
            return False
        self._tried = (*self._tried, self._endpoint)
        return True

    async def _advance(self) -> C:
        """The latest attempt, once every wait before it is over.

        Raises:
            grpc.aio.AioRpcError: there was none to be made.
            asyncio.CancelledError: the call was cancelled meanwhile.
        """
        if self._delay is not None:
            await self._catch_up()
        if self._fault is not None:
            raise self._fault
        if self._attempt is not None:
            return self._attempt
        if self._error is not None:
            raise self._error
        raise asyncio.CancelledError

    async def _catch_up(self) -> None:
        """Wait for what has to be waited for before the next attempt, and send it."""
        if self._turn is None:
            self._turn = asyncio.Lock()
        # Whoever waits first does the waiting for all; if that one gives up, so does the call.
        async with self._turn:
            if self._delay is not None:
                await self._wait(self._prepare(self._delay))

    async def _wait(self, preparation: Coroutine[None, None, None]) -> None:
        try:
            # A task of its own only so that `cancel` can end the wait without ending whoever waits.
            async with asyncio.TaskGroup() as group:
                self._waiting = group.create_task(preparation)
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            self._waiting = None
        if self._cancelled:
            raise asyncio.CancelledError

    async def _prepare(self, delay: float) -> None:
        core = self._method.core
        if delay > 0:
            await core.clock.sleep(delay)
        retrying = self._attempts > 0
        try:
            # On the loop's clock: here real peers are waited for.
            async with asyncio.timeout(max(0.0, self._expires_at - core.clock.monotonic())):
                found = await core.wait_for_endpoints(bool(self._options.wait_for_ready))
                token = await core.outgoing.fetch_token() if core.outgoing.build(self._metadata) is None else ""
            self._delay = None
            if not found or not self._launch(token):
                self._fail(Code.UNAVAILABLE, f"no endpoints for {core.target}")
            elif retrying and not self._settled:
                core.retried += 1
                core.observer.retried()
        except TimeoutError:
            self._fail(Code.DEADLINE_EXCEEDED, f"the deadline passed while waiting for {core.target}")
        except grpc.aio.AioRpcError as error:
            self._refuse(error)
        except MeshError as error:
            self._fail(error.code, f"no token for the call: {error.message}")
        except Exception as fault:  # noqa: BLE001 - not ours to understand: whoever waits gets it as it is
            self._fault = fault
            self._settle(grpc.StatusCode.UNKNOWN, core.clock.monotonic())

    def _fail(self, code: Code, details: str) -> None:
        self._refuse(local_error(code, details))

    def _refuse(self, error: grpc.aio.AioRpcError) -> None:
        """No attempt can be made: the call ends with `error`, or as its latest attempt did if there was one."""
        self._error = error
        code = error.code() if self._attempt is None else finished_code(self._attempt)
        self._settle(code, self._method.core.clock.monotonic())

    def _settle(self, code: grpc.StatusCode, now: float) -> None:
        self._delay = None
        self._settled = True
        method = self._method
        if method.core.watched:
            method.core.observer.call_finished(method.name, code, now - self._began, self._attempts)
        if self._callbacks is not None:
            callbacks, self._callbacks = self._callbacks, None
            for callback in callbacks:
                callback(self)

    def cancel(self) -> bool:
        """Give the call up, whatever it is doing; False if it had ended already."""
        if self._settled or self._cancelled:
            return False
        self._cancelled = True
        if self._delay is None and self._attempt is not None:
            return self._attempt.cancel()
        # An attempt that failed before the wait no longer decides the call.
        self._attempt = None
        if self._waiting is not None:
            self._waiting.cancel()
        self._settle(grpc.StatusCode.CANCELLED, self._method.core.clock.monotonic())
        return True
