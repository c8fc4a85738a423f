"""Tenants' counters in Redis: a hash each."""

from typing import Final

from libs.store.connection import Store
from libs.store.replies import pairs
from libs.store.script import Script, load
from services.semantic_cache.adapters import keys
from services.semantic_cache.ports import Counts, TallyStore


class RedisTallyStore(TallyStore):
    """Implements the port; one round trip per call."""

    def __init__(self, store: Store) -> None:
        # Not idempotent: sent twice, it counts twice.
        self._count: Final = Script(store, load(__package__, "count.lua"))
        # A script too, since a cluster client would shape a plain HGETALL's reply differently.
        self._counters: Final = Script(store, "return redis.call('HGETALL', KEYS[1])", idempotent=True)

    async def add(self, tenant_id: str, counts: Counts) -> None:
        """Add to a tenant's counters."""
        args: list[str | int] = []
        for name, count in counts.items():
            args += (name, count)
        await self._count(keys=[keys.counters(tenant_id)], args=args)

    async def read(self, tenant_id: str) -> Counts:
        """A tenant's counters."""
        stored = pairs(await self._counters(keys=[keys.counters(tenant_id)]))
        return {name.decode(): int(count) for name, count in stored.items()}
