"""Lua scripts: decisions that must be atomic run inside Redis, in one round trip."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from libs.store.connection import Store
from libs.store.failures import translate
from libs.store.replies import Argument, Reply


def load(package: str, name: str) -> str:
    """The text of the .lua file `name` beside the modules of `package`, such as `load(__package__, "limit.lua")`."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


class Script:
    """A script of one store, called like a function. Costs one EVALSHA; the text travels only when Redis lacks it.

    Args:
        store: where it runs.
        source: the Lua text. All keys of one call must share a hash tag; time comes from `redis.call('TIME')`.
        idempotent: whether running it twice does no harm. Then, and only then, a call whose connection drops is sent
            once more, as the first may have run without its answer arriving. Timeouts are never retried.
    """

    __slots__ = ("_idempotent", "_sha", "_source", "_store")

    def __init__(self, store: Store, source: str, *, idempotent: bool = False) -> None:
        self._store: Final = store
        self._source: Final = source
        # SHA-1 is how Redis names scripts; nothing secret depends on it.
        self._sha: Final = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self._idempotent: Final = idempotent

    def __repr__(self) -> str:
        return f"Script({self._sha[:8]}, idempotent={self._idempotent})"

    async def __call__(self, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()) -> Reply:
        """Run it.

        Raises:
            MeshError: STORE_UNAVAILABLE; it may or may not have run. INTERNAL if the script itself is wrong.
        """
        operands = (len(keys), *keys, *args)
        try:
            try:
                return await self._evaluate(operands)
            except RedisConnectionError:
                if not self._idempotent:
                    raise
            return await self._evaluate(operands)
        except (RedisError, RedisClusterException) as error:
            raise translate(error) from error

    async def _evaluate(self, operands: tuple[Argument, ...]) -> Reply:
        try:
            return await self._store.send("EVALSHA", self._sha, *operands)
        except NoScriptError:
            # EVAL leaves the script in Redis's cache, so this happens once per server start.
            return await self._store.send("EVAL", self._source, *operands)
