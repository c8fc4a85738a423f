"""What becomes of leases while an answer is being made."""

from typing import Final

from services.semantic_cache.flight import Flights
from services.semantic_cache.ports import EntryStore
from services.semantic_cache.scope import Key

# Long enough that all who wait have looked, short enough that the next wave may share an answer again.
_OPEN_SECONDS: Final = 1.0


class Leases:
    """Renews and ends leases.

    Args:
        store: where they are.
        flights: those who wait here.
    """

    def __init__(self, store: EntryStore, flights: Flights) -> None:
        self._store: Final = store
        self._flights: Final = flights

    @property
    def seconds(self) -> float:
        """How long one lasts."""
        return self._flights.options.lease_seconds

    async def renew(self, key: Key, lease_token: bytes) -> bool:
        """Prolong a lease; False if it is not that token's any more. Raises STORE_UNAVAILABLE."""
        return await self._store.renew(key, lease_token, self.seconds)

    async def release(self, key: Key, lease_token: bytes, *, reusable: bool) -> None:
        """End a lease. If answers to the question can be reused, the next one who waits is to try.

        Raises:
            MeshError: STORE_UNAVAILABLE; it ends by itself then.
        """
        await self._store.release(key, lease_token, 0.0 if reusable else _OPEN_SECONDS)
        self._flights.look(key)
