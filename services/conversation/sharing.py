"""What a turn that makes an answer owes those who wait for it: the answer, or word that there will be none."""

from types import TracebackType
from typing import Final, Self

from libs.core.errors import MeshError
from services.conversation.cache_ports import AnswerCache, CacheEntry, CacheMiss, CacheScope, Unshared
from services.conversation.draft import Draft
from services.conversation.lease import RENEWALS_PER_LEASE, Renewal
from services.conversation.turn import Route

# However short the cache's leases are, renewing them is not all that we do.
_SHORTEST_INTERVAL: Final = 0.1


class Sharing:
    """Inside the block an answer is being made; at its end the cache has it if it is one for others.

    If it is not, or the block fails, a lease that the lookup gave is given back. Nothing here waits or fails: what
    does not arrive costs those who wait the rest of the lease.
    """

    def __init__(self, cache: AnswerCache, scope: CacheScope, draft: Draft, miss: CacheMiss) -> None:
        self._cache: Final = cache
        self._scope: Final = scope
        self._draft: Final = draft
        self._miss: Final = miss

    @property
    def renewals(self) -> tuple[Renewal, ...]:
        """How the lease is kept, if there is one. Losing it does not matter to the turn: the answer is its caller's."""
        lease = self._miss.lease
        if lease is None:
            return ()

        async def renew() -> bool:
            try:
                return await self._cache.renew(self._scope, self._draft.question, lease)
            except MeshError:
                return True

        return (Renewal(max(lease.ttl / RENEWALS_PER_LEASE, _SHORTEST_INTERVAL), renew),)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        draft, lease = self._draft, self._miss.lease
        if kind is None and draft.cacheable and not self._miss.unasked:
            self._cache.put_later(self._entry())
        elif lease is not None:
            answered = kind is None and draft.route is Route.MODEL
            why = Unshared.NOT_REUSABLE if answered else Unshared.FAILED
            self._cache.release_later(self._scope, draft.question, lease, why)

    def _entry(self) -> CacheEntry:
        draft = self._draft
        return CacheEntry(
            draft.request.request_id,
            self._scope,
            draft.question,
            draft.text,
            draft.model,
            draft.usage,
            draft.cost_usd_micros,
            draft.piece_lengths,
            self._miss,
        )
