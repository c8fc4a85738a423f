"""What users say of answers that were served."""

from typing import Final

from libs.core.errors import invalid
from services.semantic_cache.invalidation import Invalidator
from services.semantic_cache.judging import Teacher
from services.semantic_cache.receipts import Ending, Receipt


class Reporter:
    """Passes judgement on: to the teacher what was served by meaning, and a wrong answer out of the cache.

    Args:
        teacher: learns.
        invalidator: sees to it that what was wrong is not served for that text again.
    """

    def __init__(self, teacher: Teacher, invalidator: Invalidator) -> None:
        self._teacher: Final = teacher
        self._invalidator: Final = invalidator

    async def report(self, tenant_id: str, request_id: str, receipt: Receipt | None, right: bool) -> None:
        """The answer that was served was right, or wrong. Repeating a `request_id` is safe.

        Raises:
            MeshError: INVALID_FIELD for the receipt of a miss, STORE_UNAVAILABLE.
        """
        if receipt is None or receipt.ending not in (Ending.SERVED, Ending.SERVED_EXACT):
            raise invalid("receipt", "must be one that Lookup gave out with a hit")
        if not right:
            await self._invalidator.invalidate(tenant_id, receipt.question)
        if receipt.ending is Ending.SERVED:
            await self._teacher.teach(tenant_id, request_id, receipt, receipt.group if right else None)
