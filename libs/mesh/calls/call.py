"""The accessors that grpc.aio promises of every call."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc

from libs.mesh.calls.attempts import Attempts

C = TypeVar("C", bound=grpc.aio.Call)
M = TypeVar("M")


class MeshCall(Attempts[M, C], Generic[M, C]):
    """What the four kinds of calls share. Accessors answer for the latest attempt."""

    def cancelled(self) -> bool:
        """Whether `cancel` ended the call."""
        return self._cancelled or (self._attempt is not None and self._attempt.cancelled())

    def done(self) -> bool:
        """Whether the call has ended, retries included."""
        return self._settled

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        """Have `callback(call)` called when the call has ended, or now if it has.

        A call that is to be tried again goes on only while somebody waits for it.
        """
        if self._settled:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def time_remaining(self) -> float:
        """Seconds until the call's deadline, never negative."""
        return max(0.0, self._expires_at - self._method.core.clock.monotonic())

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """What the server sent first."""
        while True:
            attempt = await self._attempt_or_none()
            if attempt is None:
                return grpc.aio.Metadata()
            metadata = await attempt.initial_metadata()
            if self._delay is None:
                return metadata

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """What the server sent last."""
        attempt = await self._last_attempt()
        return grpc.aio.Metadata() if attempt is None else await attempt.trailing_metadata()

    async def code(self) -> grpc.StatusCode:
        """The final status."""
        attempt = await self._last_attempt()
        if attempt is not None:
            return await attempt.code()
        return grpc.StatusCode.CANCELLED if self._error is None else self._error.code()

    async def details(self) -> str:
        """The final status's text."""
        attempt = await self._last_attempt()
        if attempt is not None:
            return await attempt.details()
        return "Locally cancelled by application!" if self._error is None else self._error.details() or ""

    async def wait_for_connection(self) -> None:
        """Wait until an attempt has reached its server; raises as the call would if none does."""
        while True:
            attempt = await self._advance()
            try:
                return await attempt.wait_for_connection()
            except grpc.aio.AioRpcError:
                if self._delay is None:
                    raise

    async def _attempt_or_none(self) -> C | None:
        try:
            return await self._advance()
        except grpc.aio.AioRpcError:
            return None
        except asyncio.CancelledError:
            if self._settled and not self._being_cancelled():
                return None
            raise

    async def _last_attempt(self) -> C | None:
        """The attempt that decided the call, when it has ended; None if none was made."""
        while True:
            attempt = await self._attempt_or_none()
            if attempt is None:
                return None
            await attempt.code()
            if self._delay is None:
                return attempt

    @staticmethod
    def _being_cancelled() -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    def __repr__(self) -> str:
        state = "done" if self._settled else "waiting" if self._delay is not None else "in flight"
        return f"<{type(self).__name__} {self._method.name} {state}, {self._attempts} attempts>"
