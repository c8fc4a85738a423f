"""Embeddings of recent texts, so that a question that comes back is not read again."""

from typing import Final

from cachetools import LRUCache

from services.semantic_cache.ports import Embedded

_OVERHEAD: Final = 400
"""Bytes of the objects around a text and its vector, about: string, array, tuple and their places in the cache."""


class RecentTexts:
    """The least recently used go first when there are more than `capacity` bytes of them.

    Args:
        capacity: bytes of texts, vectors and what holds them together; 0 keeps none.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 0:
            raise ValueError(f"capacity must not be negative, got {capacity}")
        self._embeddings: Final[LRUCache[str, tuple[Embedded, int]]] = LRUCache(capacity, getsizeof=_size)

    def __len__(self) -> int:
        return len(self._embeddings)

    @property
    def size(self) -> int:
        """Bytes that are held now."""
        return int(self._embeddings.currsize)

    def get(self, text: str) -> Embedded | None:
        """The embedding of `text`, if it is remembered; it counts as used."""
        found = self._embeddings.get(text)
        return None if found is None else found[0]

    def keep(self, text: str, embedded: Embedded) -> None:
        """Remember an embedding, unless it alone is larger than all the room there is."""
        size = len(text.encode(errors="surrogatepass")) + embedded.vector.nbytes + _OVERHEAD
        if size <= self._embeddings.maxsize:
            self._embeddings[text] = (embedded, size)

    def forget(self) -> None:
        """Hold nothing any more."""
        self._embeddings.clear()

    def __repr__(self) -> str:
        return f"RecentTexts({len(self)} in {self.size}/{int(self._embeddings.maxsize)} bytes)"


def _size(kept: tuple[Embedded, int]) -> int:
    return kept[1]
