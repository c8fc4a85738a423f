"""The store: Redis as one server or a cluster, with bounded waits and failures of the one catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, Self, TypeAlias, cast

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from libs.store.failures import Guard, translate
from libs.store.link import Limits, Link, parse_address
from libs.store.replies import Argument, Reply

_CLUSTER_SCHEMES: Final[Mapping[str, str]] = {"redis+cluster://": "redis://", "rediss+cluster://": "rediss://"}
# RESP2 on purpose: replies have one shape for every server from 6.2 on, and no enterprise handshake is attempted.
_RESP: Final = 2

AnyRedis: TypeAlias = Redis | RedisCluster


class Caller(Protocol):
    """What carries a command to Redis and its raw answer back."""

    async def call(self, command: tuple[Argument, ...]) -> Reply:
        """Send one command; raises redis.exceptions errors."""
        ...


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """A snapshot of what the store holds open."""

    connected: bool
    """Whether the shared connection stands, as far as is known (always true for a cluster)."""
    waiting: int
    """Commands in flight on the shared connection."""
    dials: int
    """Connections attempted since the start; more than one means that Redis went away in between."""


def connect(
    url: str,
    *,
    max_connections: int = 32,
    timeout: float = 2.0,
    connect_timeout: float = 1.0,
) -> "Store":
    """The store at `url`. Nothing is dialled before the first command; `ping()` finds out whether it is there.

    Args:
        url: `redis://[user:password@]host:port/db`, `rediss://` for TLS, or `redis+cluster://host:port`
            (`rediss+cluster://`) for any node of a cluster.
        max_connections: pooled connections, for blocking commands and `Store.redis`; whoever finds all in use waits
            at most `connect_timeout`.
        timeout: seconds until an unanswered command fails.
        connect_timeout: seconds for a connection to come up.

    Raises:
        ValueError: the URL or a limit makes no sense.
    """
    limits = Limits(timeout, connect_timeout, max_connections)
    for scheme, plain in _CLUSTER_SCHEMES.items():
        if url.startswith(scheme):
            cluster = _cluster(plain + url.removeprefix(scheme), limits)
            return Store(cluster, _ClusterCaller(cluster), limits)
    link = Link(parse_address(url), limits)
    return Store(_single(url, limits), link, limits)


class Store:
    """A connected Redis. Use `execute` and `Script` for speed and `redis`, under `guard()`, for everything else."""

    def __init__(self, redis: AnyRedis, caller: Caller, limits: Limits) -> None:
        self.redis: Final = redis
        self.limits: Final = limits
        self._caller: Final = caller
        self._guard: Final = Guard()

    def __repr__(self) -> str:
        return f"Store({self._caller!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def execute(self, *command: Argument) -> Reply:
        """One command on the shared connection, its reply raw (RESP2).

        Never a blocking command (`BLPOP`, `XREADGROUP ... BLOCK`): it would hold up everybody. For a cluster the reply
        of some commands (`HGETALL`, `XRANGE`) is shaped by redis-py: use scripts or `redis` for those.

        Raises:
            MeshError: STORE_UNAVAILABLE, or INTERNAL if Redis refused the command itself.
        """
        try:
            return await self._caller.call(command)
        except (RedisError, RedisClusterException) as error:
            raise translate(error) from error

    async def send(self, *command: Argument) -> Reply:
        """Like `execute`, but failures are redis.exceptions, for callers that tell them apart."""
        return await self._caller.call(command)

    def guard(self) -> Guard:
        """`with store.guard():` around uses of `redis`, so that its failures leave as `MeshError`."""
        return self._guard

    async def ping(self) -> None:
        """Return if the store answers; MeshError(STORE_UNAVAILABLE) if not."""
        await self.execute("PING")

    async def close(self) -> None:
        """Close every connection; callers that still wait fail."""
        if isinstance(self._caller, Link):
            await self._caller.close()
        await self.redis.aclose()
        if isinstance(self.redis, Redis):
            await self.redis.connection_pool.disconnect()

    def statistics(self) -> StoreStatistics:
        """What is open and in flight now."""
        if isinstance(self._caller, Link):
            return StoreStatistics(self._caller.connected, self._caller.waiting, self._caller.dials)
        return StoreStatistics(connected=True, waiting=0, dials=0)


class _ClusterCaller:
    """Commands through redis-py's cluster client, which finds the node of a key and follows MOVED and ASK."""

    def __init__(self, cluster: RedisCluster) -> None:
        self._cluster: Final = cluster

    def __repr__(self) -> str:
        return "cluster"

    async def call(self, command: tuple[Argument, ...]) -> Reply:
        return cast("Reply", await self._cluster.execute_command(*command))


def _single(url: str, limits: Limits) -> Redis:
    # redis-py would repeat a command up to ten times by itself; a command that is not idempotent must not be.
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=limits.max_connections,
        timeout=limits.connect_timeout,
        socket_timeout=limits.timeout,
        socket_connect_timeout=limits.connect_timeout,
        protocol=_RESP,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=pool)


def _cluster(url: str, limits: Limits) -> RedisCluster:
    return RedisCluster.from_url(
        url,
        max_connections=limits.max_connections,
        socket_timeout=limits.timeout,
        socket_connect_timeout=limits.connect_timeout,
        protocol=_RESP,
        retry=Retry(NoBackoff(), 0),
    )
