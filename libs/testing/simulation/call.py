"""A call under way in the simulation, with the interface and the order of events of grpc.aio's own."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Protocol

import grpc


class Link(Protocol):
    """The way between a call and its server."""

    @property
    def round_trip(self) -> float:
        """Seconds there and back."""
        ...

    @property
    def cut(self) -> bool:
        """Whether nothing gets through at present."""
        ...

    def released(self, call: "SimulatedCall", code: grpc.StatusCode) -> None:
        """The call has ended."""
        ...


class SimulatedCall:
    """A call under way; a server answers it, or its deadline ends it, or its caller.

    As with grpc.aio, callbacks run before whoever awaits the call does, and `cancel` runs them before it returns.
    """

    # What few calls ever set stands here, so that making a call does not pay for it.
    _code: grpc.StatusCode | None = None
    _details = ""
    _trailing: tuple[tuple[str, str], ...] = ()
    _given_up = False
    _timer: asyncio.TimerHandle | None = None
    _waiters: list[asyncio.Future[None]] | None = None
    _callbacks: list[Callable[[object], None]] | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link, timeout: float | None) -> None:
        self._loop = loop
        self._link = link
        self._expires_at = inf if timeout is None else loop.time() + timeout

    # The server's side.

    def answer_in(
        self, seconds: float, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Have the call end in this way once the server's `seconds` and the way back are over, deadline permitting."""
        self._arrive_at(self._loop.time() + seconds + self._link.round_trip, code, details, trailing)

    def expire(self) -> None:
        """Have the call end at its deadline."""
        if self._code is None and self._expires_at < inf:
            self._forget_timer()
            self._timer = self._loop.call_at(
                self._expires_at, self._end, grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"
            )

    def _arrive_at(
        self, due: float, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str], ...]
    ) -> None:
        if due >= self._expires_at:
            self.expire()
        elif self._code is None:
            self._forget_timer()
            self._timer = self._loop.call_at(due, self._arrive, code, details, trailing)

    def _arrive(self, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str], ...]) -> None:
        if self._link.cut:
            self._timer = None
            self.expire()
        else:
            self._end(code, details, trailing)

    def _end(self, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str], ...] = ()) -> None:
        if self._code is not None:
            return
        self._code = code
        self._details = details
        self._trailing = trailing
        self._forget_timer()
        self._link.released(self, code)
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback(self)
        self._wake()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # The caller's side.

    def cancelled(self) -> bool:
        """Whether it ended because its caller gave it up."""
        return self._code is grpc.StatusCode.CANCELLED and self._given_up

    def done(self) -> bool:
        """Whether it has ended."""
        return self._code is not None

    def time_remaining(self) -> float | None:
        """Seconds until its deadline, never negative; None without one."""
        return None if self._expires_at == inf else max(0.0, self._expires_at - self._loop.time())

    def cancel(self) -> bool:
        """Give it up; False if it has ended."""
        if self._code is not None:
            return False
        self._given_up = True
        self._end(grpc.StatusCode.CANCELLED, "Locally cancelled by application!")
        return True

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        """Have `callback(call)` called when it has ended, or now if it has."""
        if self._code is not None:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """Nothing, once there is an answer."""
        await self._ended()
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """What the server sent last."""
        await self._ended()
        return grpc.aio.Metadata(*self._trailing)

    async def code(self) -> grpc.StatusCode:
        """The status, once there is one."""
        return await self._ended()

    async def details(self) -> str:
        """The status's text."""
        await self._ended()
        return self._details

    async def wait_for_connection(self) -> None:
        """Nothing to wait for: a call that cannot be connected fails by itself."""

    async def _ended(self) -> grpc.StatusCode:
        while self._code is None:
            await self._changed()
        return self._code

    def _changed(self) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = self._loop.create_future()
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        return waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def _raise_unless_ok(self) -> None:
        if self._code is grpc.StatusCode.OK:
            return
        if self.cancelled():
            raise asyncio.CancelledError
        nothing = grpc.aio.Metadata()
        trailing = grpc.aio.Metadata(*self._trailing) if self._trailing else nothing
        raise grpc.aio.AioRpcError(self._code or grpc.StatusCode.UNKNOWN, nothing, trailing, self._details)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'in flight' if self._code is None else self._code.name}>"
