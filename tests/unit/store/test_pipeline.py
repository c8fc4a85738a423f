"""The protocol over a transport in memory: order, losses and limits, without a server."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, NoScriptError

from libs.store.pipeline import Pipeline


class MemoryTransport(asyncio.Transport):
    """Keeps what was written and tells the protocol when it is aborted, as a socket's does."""

    def __init__(self, protocol: Pipeline) -> None:
        super().__init__()
        self.written = b""
        self._protocol = protocol
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


def _connected(max_waiting: int = 10) -> tuple[Pipeline, MemoryTransport]:
    pipeline = Pipeline(timeout=60.0, max_waiting=max_waiting)
    return pipeline, MemoryTransport(pipeline)


async def test_answers_go_to_their_callers_in_order_however_they_are_cut() -> None:
    pipeline, transport = _connected()
    first, second = pipeline.send(("GET", "a")), pipeline.send((b"GET", b"b"))
    assert transport.written == b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"
    for byte in b"$2\r\nab\r\n:7\r\n":
        pipeline.data_received(bytes([byte]))
    assert (await first, await second) == (b"ab", 7)
    assert pipeline.waiting == 0


async def test_an_error_reply_fails_its_own_caller_only() -> None:
    pipeline, _ = _connected()
    first, second = pipeline.send(("EVALSHA", "x", 0)), pipeline.send(("PING",))
    pipeline.data_received(b"-NOSCRIPT No matching script.\r\n+PONG\r\n")
    with pytest.raises(NoScriptError):
        await first
    assert await second == b"PONG"
    assert not pipeline.lost


async def test_the_answer_to_a_cancelled_caller_is_dropped_and_shifts_nobody() -> None:
    pipeline, _ = _connected()
    first, second = pipeline.send(("GET", "a")), pipeline.send(("GET", "b"))
    first.cancel()
    pipeline.data_received(b"$1\r\n1\r\n$1\r\n2\r\n")
    assert await second == b"2"


async def test_a_lost_connection_fails_all_who_wait_and_takes_no_more() -> None:
    pipeline, _ = _connected()
    futures = [pipeline.send(("PING",)) for _ in range(3)]
    pipeline.connection_lost(ConnectionResetError("reset"))
    for future in futures:
        with pytest.raises(RedisConnectionError, match="reset"):
            await future
    assert pipeline.lost
    with pytest.raises(RedisConnectionError, match="lost"):
        pipeline.send(("PING",))


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n", b"+OK\r\n+OK\r\n"])
async def test_a_peer_that_does_not_speak_redis_or_answers_unasked_is_dropped(nonsense: bytes) -> None:
    pipeline, _ = _connected()
    future = pipeline.send(("PING",))
    pipeline.data_received(nonsense)
    assert pipeline.lost
    assert future.done()
    future.exception()


async def test_no_more_than_the_limit_may_wait() -> None:
    pipeline, _ = _connected(max_waiting=2)
    futures = [pipeline.send(("PING",)), pipeline.send(("PING",))]
    with pytest.raises(MaxConnectionsError):
        pipeline.send(("PING",))
    pipeline.data_received(b"+PONG\r\n")
    futures.append(pipeline.send(("PING",)))
    pipeline.data_received(b"+PONG\r\n+PONG\r\n")
    assert [await future for future in futures] == [b"PONG"] * 3


async def test_close_fails_who_waits() -> None:
    pipeline, _ = _connected()
    future = pipeline.send(("PING",))
    await pipeline.close()
    with pytest.raises(RedisConnectionError, match="closed"):
        await future
