"""A shared connection that comes back: dials on first use and again after every loss, once for all who wait."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final, TypedDict, cast

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from libs.store.pipeline import Pipeline
from libs.store.replies import Argument, Reply

_DEFAULT_PORT: Final = 6379


class _UrlParts(TypedDict, total=False):
    host: str
    port: int
    db: int
    username: str
    password: str
    connection_class: type[object]
    ssl_ca_certs: str
    ssl_certfile: str
    ssl_keyfile: str
    ssl_cert_reqs: str


@dataclass(frozen=True, slots=True)
class Address:
    """One Redis server and how to greet it."""

    host: str
    port: int
    database: int = 0
    username: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        scheme = "redis" if self.tls is None else "rediss"
        return f"{scheme}://{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much a caller may be made to wait."""

    timeout: float = 2.0
    """Seconds until a command that is not answered fails."""
    connect_timeout: float = 1.0
    """Seconds for a connection to come up, greeting included."""
    max_connections: int = 32
    """Pooled connections per server, for blocking commands and `Store.redis`."""
    max_waiting: int = 8192
    """Commands in flight on the shared connection; more are refused, so memory stays bounded while Redis stalls."""

    def __post_init__(self) -> None:
        if min(self.timeout, self.connect_timeout, self.max_connections, self.max_waiting) <= 0:
            raise ValueError(f"all limits must be positive, got {self}")


def parse_address(url: str) -> Address:
    """The server that `redis://` or `rediss://` names; the TLS options are redis-py's (`?ssl_ca_certs=...`).

    Raises:
        ValueError: the URL is of another kind or an option does not parse.
    """
    if not url.startswith(("redis://", "rediss://")):
        raise ValueError("a store URL starts with redis://, rediss:// or redis+cluster://")
    parts = cast("_UrlParts", parse_url(url))
    return Address(
        host=parts.get("host", "localhost"),
        port=parts.get("port", _DEFAULT_PORT),
        database=parts.get("db", 0),
        username=parts.get("username", ""),
        password=parts.get("password", ""),
        tls=_tls(parts) if parts.get("connection_class") is SSLConnection else None,
    )


def _tls(parts: _UrlParts) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
    if "ssl_certfile" in parts:
        context.load_cert_chain(parts["ssl_certfile"], parts.get("ssl_keyfile"))
    if parts.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Link:
    """The shared connection to one server. Belongs to the event loop that first uses it."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self.address: Final = address
        self._limits: Final = limits
        self._lock: Final = asyncio.Lock()
        self._pipeline: Pipeline | None = None
        self._dials = 0
        self._failure = RedisConnectionError("never connected")

    def __repr__(self) -> str:
        return f"Link({self.address!r}, connected={self.connected}, dials={self._dials})"

    @property
    def connected(self) -> bool:
        """Whether a connection stands, as far as is known."""
        return self._pipeline is not None and not self._pipeline.lost

    @property
    def waiting(self) -> int:
        """Commands that await their answers."""
        return self._pipeline.waiting if self._pipeline is not None else 0

    @property
    def dials(self) -> int:
        """How many times a connection was attempted."""
        return self._dials

    async def call(self, command: tuple[Argument, ...]) -> Reply:
        """Send one command and give its answer; never sends it twice.

        Raises:
            redis.exceptions.RedisError: the server cannot be reached, did not answer in time, or refused.
        """
        pipeline = self._pipeline
        if pipeline is None or pipeline.lost:
            pipeline = await self._connect()
        return await pipeline.send(command)

    async def close(self) -> None:
        """Close the connection; a later call would dial again."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            await pipeline.close()

    async def _connect(self) -> Pipeline:
        dials = self._dials
        async with self._lock:
            if self._pipeline is not None and not self._pipeline.lost:
                return self._pipeline
            if self._dials != dials:
                # Somebody tried while we waited: share the failure, else each in the queue would wait a timeout more.
                raise RedisConnectionError(str(self._failure))
            try:
                self._pipeline = await self._dial()
            except RedisError as error:
                self._failure = RedisConnectionError(str(error))
                self._dials += 1
                raise
            self._dials += 1
            return self._pipeline

    async def _dial(self) -> Pipeline:
        address, limits = self.address, self._limits
        pipeline = Pipeline(limits.timeout, limits.max_waiting)
        try:
            async with asyncio.timeout(limits.connect_timeout):
                await asyncio.get_running_loop().create_connection(
                    lambda: pipeline, address.host, address.port, ssl=address.tls
                )
                await self._greet(pipeline)
        except TimeoutError:
            await pipeline.close()
            raise RedisTimeoutError(f"{address!r} did not answer within {limits.connect_timeout} s") from None
        except OSError as error:
            raise RedisConnectionError(f"{address!r}: {error}") from error
        except BaseException:
            await pipeline.close()
            raise
        return pipeline

    async def _greet(self, pipeline: Pipeline) -> None:
        address = self.address
        if address.password:
            user = (address.username,) if address.username else ()
            await pipeline.send(("AUTH", *user, address.password))
        if address.database:
            await pipeline.send(("SELECT", address.database))
        # Tells a server that is still loading, or a port that is not Redis, before anybody's command is sent.
        await pipeline.send(("PING",))
