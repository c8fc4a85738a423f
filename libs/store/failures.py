"""Every way Redis can fail, turned into the one catalogue of errors."""

import re
from collections.abc import Mapping
from types import TracebackType
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MaxConnectionsError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from libs.core.errors import MeshError, Reason

RETRY_AFTER_SECONDS: Final = 1.0

_UNAVAILABLE: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    OSError,
)
# An error that a command met inside a script arrives wrapped in the script's own ("ERR Error running script ...
# -OOM command not allowed"), so the words are searched for, not just matched at the start.
_UNAVAILABLE_WORDS: Final = re.compile(
    r"\b(OOM|READONLY|LOADING|BUSY|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|UNBLOCKED|NOAUTH|WRONGPASS|NOPERM"
    r"|max number of clients reached)\b"
)
_REPLY_ERRORS: Final[Mapping[str, type[RedisError]]] = {
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "LOADING": BusyLoadingError,
    "NOAUTH": AuthenticationError,
    "WRONGPASS": AuthenticationError,
}


def reply_error(text: str) -> RedisError:
    """The exception for an error reply such as `NOSCRIPT No matching script`, of the class redis-py would raise."""
    return _REPLY_ERRORS.get(text.partition(" ")[0], ResponseError)(text)


def translate(error: Exception) -> MeshError:
    """What callers of ours should see for a failure of Redis.

    A store that cannot serve now (unreachable, slow, loading, read-only, full, failing over, refusing our password)
    is STORE_UNAVAILABLE; whatever else Redis refuses is a mistake of ours and INTERNAL. Neither carries Redis's words:
    those stay in `__cause__`, for the log.
    """
    if isinstance(error, _UNAVAILABLE) or _UNAVAILABLE_WORDS.search(str(error)):
        return MeshError(Reason.STORE_UNAVAILABLE, retry_after=RETRY_AFTER_SECONDS)
    return MeshError(Reason.INTERNAL)


def saturated(what: str) -> MaxConnectionsError:
    """Raised instead of queueing without bound."""
    return MaxConnectionsError(f"too many {what} in flight")


class Guard:
    """`with guard:` around calls of redis-py: its errors leave as `MeshError`. Stateless, so one serves everybody."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # TimeoutError is an OSError but belongs to whoever set the timeout, so it passes.
        if isinstance(error, RedisError | RedisClusterException | ConnectionError):
            raise translate(error) from error
