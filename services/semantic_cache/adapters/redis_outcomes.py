"""What turned out, in Redis: per tenant and embedding space a stream of the latest."""

from typing import Final

from libs.store.connection import Store
from libs.store.replies import array, blob, pairs
from libs.store.script import Script, load
from services.semantic_cache.adapters import keys
from services.semantic_cache.ports import OutcomeLog

_SEEN_MS: Final = 3_600_000
_KEPT_MS: Final = 90 * 86_400_000
_READ_AT_ONCE: Final = 1_000


class RedisOutcomeLog(OutcomeLog):
    """Implements the port; one round trip per call, and one more for every 1,000 outcomes that are read.

    Args:
        store: where they go.
        space: the embedding space's name; what was learned in another says nothing here.
        most: outcomes kept of each tenant, about; the oldest go, and after 90 days without a new one all.
    """

    def __init__(self, store: Store, space: str, most: int = 4_000) -> None:
        self._space: Final = space
        self._most: Final = most
        self._append: Final = Script(store, load(__package__, "append_outcome.lua"), idempotent=True)
        self._since: Final = Script(store, load(__package__, "outcomes_since.lua"), idempotent=True)

    async def append(self, tenant_id: str, request_id: str, outcome: bytes) -> None:
        """Add one; a `request_id` that was seen in the last hour adds nothing."""
        names = (keys.outcomes(tenant_id, self._space), keys.reported(tenant_id, request_id))
        await self._append(names, (outcome, self._most, _SEEN_MS, _KEPT_MS))

    async def since(self, tenant_id: str, cursor: str) -> tuple[list[bytes], str]:
        """Those after the cursor, oldest first, and the next cursor."""
        found: list[bytes] = []
        while True:
            items = array(await self._since([keys.outcomes(tenant_id, self._space)], (cursor, _READ_AT_ONCE)))
            for item in items:
                item_id, fields = array(item)
                cursor = blob(item_id).decode()
                found.append(pairs(fields)[b"o"])
            if len(items) < _READ_AT_ONCE:
                return found, cursor
