"""The answer cache of unit tests."""

import asyncio

from services.conversation.cache_ports import (
    AnswerCache,
    CacheEntry,
    CacheHeld,
    CacheHit,
    CacheLease,
    CacheMiss,
    CacheScope,
    Unshared,
)
from services.conversation.turn import CacheLayer
from tests.unit.conversation.fakes import Breakable


class FakeCache(Breakable, AnswerCache):
    """Equal question, equal scope. With `leasing` set every miss comes with the lease."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[CacheEntry] = []
        self.leasing: CacheLease | None = None
        self.others: asyncio.Event | None = None
        """Somebody else has the answer made, until this is set."""
        self.lost = False
        """Whether somebody else has the lease by now."""
        self.waits: list[float] = []
        """How long each lookup would have waited."""
        self.released: list[tuple[bytes, Unshared]] = []

    async def lookup(self, scope: CacheScope, question: str, max_wait: float) -> CacheHit | CacheMiss | CacheHeld:
        self.called("lookup")
        self.waits.append(max_wait)
        return CacheHeld(max_wait) if self.others is not None else self._found(scope, question)

    async def wait(self, scope: CacheScope, question: str, held: CacheHeld) -> CacheHit | CacheMiss:
        assert self.others is not None
        await self.others.wait()
        self.called("wait")
        return self._found(scope, question)

    def _found(self, scope: CacheScope, question: str) -> CacheHit | CacheMiss:
        for entry in self.kept:
            if (_place(entry.scope), entry.question) == (_place(scope), question):
                return CacheHit(
                    entry.text,
                    entry.model,
                    entry.usage,
                    entry.cost_usd_micros,
                    CacheLayer.EXACT_REDIS,
                    1,
                    entry.piece_lengths,
                )
        return CacheMiss(b"embedding", self.leasing, b"receipt")

    async def renew(self, scope: CacheScope, question: str, lease: CacheLease) -> bool:
        self.called("renew")
        return not self.lost

    def put_later(self, entry: CacheEntry) -> None:
        self.kept.append(entry)

    def release_later(self, scope: CacheScope, question: str, lease: CacheLease, why: Unshared) -> None:
        self.released.append((lease.token, why))


def _place(scope: CacheScope) -> tuple[str, ...]:
    return (scope.instructions_fingerprint, scope.context_fingerprint, scope.options.language)
