"""What the domain needs from outside."""

from collections.abc import Sequence
from typing import Protocol

from services.monitoring.aggregate import ScopeBatch
from services.monitoring.slices import Slice
from services.monitoring.tally import Tally


class SliceStore(Protocol):
    """Keeps the sums; several replicas write to one store."""

    async def add(self, batch_id: str, batches: Sequence[ScopeBatch]) -> list[bool]:
        """Add each scope's sums at most once per `batch_id`, also when a batch that broke off is sent again.

        Returns:
            For each scope whether it was added now, rather than before.

        Raises:
            MeshError: STORE_UNAVAILABLE; what was added stays added and is not added again.
        """
        ...

    async def read(self, scope: str, slices: Sequence[Slice]) -> list[Tally]:
        """What the slices hold, in their order; nothing stored counts as zero.

        Raises:
            MeshError: STORE_UNAVAILABLE.
        """
        ...
