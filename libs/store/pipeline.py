"""One connection that all tasks of a process share: commands travel back to back, answers return in order.

A pool lends a whole connection per command and pays for lending, timers and wake-ups: 60 to 130 us of our processor
time a round trip. Sharing one costs 10 to 50 us, since commands of one turn of the event loop leave in one write.
Redis runs commands one after another anyway, so nobody waits longer; only blocking commands must not be sent here.
"""

import asyncio
from collections import deque
from typing import Final, cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from libs.store.failures import reply_error, saturated
from libs.store.replies import Argument, Reply

_NOTHING: Final = object()


class Pipeline(asyncio.Protocol):
    """The protocol of one live connection; made by `Link`, thrown away when it is lost.

    Args:
        timeout: seconds within which every command must be answered. If one is not, the connection is given up with
            all that wait behind it, since their answers could not come sooner.
        max_waiting: commands that may await their answers at once; more are refused.
    """

    def __init__(self, timeout: float, max_waiting: int) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._timeout: Final = timeout
        self._max_waiting: Final = max_waiting
        self._waiting: Final[deque[tuple[asyncio.Future[Reply], float]]] = deque()
        self._reader: Final = hiredis.Reader(
            protocolError=RedisConnectionError, replyError=reply_error, notEnoughData=_NOTHING
        )
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed: Final[asyncio.Future[None]] = self._loop.create_future()
        self._failure: RedisError | None = None

    @property
    def waiting(self) -> int:
        """How many commands await their answers."""
        return len(self._waiting)

    @property
    def lost(self) -> bool:
        """Whether the connection can no longer be used."""
        return self._failure is not None

    def send(self, command: tuple[Argument, ...]) -> asyncio.Future[Reply]:
        """Write `command` now; the future is its answer.

        Raises:
            redis.exceptions.ConnectionError: the connection is lost or has too much in flight; nothing was sent.
        """
        if self._failure is not None or self._transport is None:
            raise RedisConnectionError("the connection is lost")
        if len(self._waiting) >= self._max_waiting:
            raise saturated("commands")
        packed: bytes = hiredis.pack_command(cast("tuple[Argument]", command))  # its stub says one operand
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append((future, self._loop.time() + self._timeout))
        self._transport.write(packed)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._check)
        return future

    async def close(self) -> None:
        """Close; whoever still waits gets a ConnectionError."""
        if self._transport is not None:
            self._fail(RedisConnectionError("the connection was closed"))
            await asyncio.shield(self._closed)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection stands."""
        # uvloop's transports have the methods but not the base class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came in."""
        reader, waiting = self._reader, self._waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                future, _ = waiting.popleft()
                if future.done():
                    continue  # its caller was cancelled
                if isinstance(reply, RedisError):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except RedisConnectionError as error:
            self._fail(error)
        except IndexError:
            self._fail(RedisConnectionError("Redis answered what nobody asked"))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        self._fail(RedisConnectionError(f"Redis closed the connection{f': {exc}' if exc else ''}"))
        if not self._closed.done():
            self._closed.set_result(None)

    def _check(self) -> None:
        # One timer per connection, not per command: all wait equally long, so the oldest is the first to be late.
        self._timer = None
        if not self._waiting:
            return
        late = self._loop.time() - self._waiting[0][1]
        if late >= 0:
            self._fail(RedisTimeoutError(f"Redis did not answer within {self._timeout} s"))
        else:
            self._timer = self._loop.call_later(-late, self._check)

    def _fail(self, error: RedisError) -> None:
        if self._failure is None:
            self._failure = error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                # An exception object must not be raised in several tasks: each would add its traceback.
                future.set_exception(type(self._failure)(str(self._failure)))
        if self._transport is not None:
            self._transport.abort()
