"""The sums in Redis: one hash per scope and slice, added to by one script per scope."""

import asyncio
from collections.abc import Sequence
from typing import Final

from libs.core.errors import MeshError
from libs.store.connection import Store
from libs.store.replies import Argument, array, integer, pairs
from libs.store.script import Script, load
from services.monitoring.adapters.fields import decode, encode
from services.monitoring.aggregate import ScopeBatch
from services.monitoring.ports import SliceStore
from services.monitoring.slices import Slice
from services.monitoring.tally import Tally

# A script holds up everybody else in Redis: 128 hashes of some 50 fields take it about a millisecond.
_SLICES_PER_READ: Final = 128
_SCOPES_PER_WRITE: Final = 256


class RedisSlices(SliceStore):
    """`SliceStore` in Redis.

    Keys: `monitoring:{<scope>}:<width>:<start>` and, for batches seen, `monitoring:{<scope>}:batch:<id>`. A script's
    keys share their hash tag, so a cluster spreads tenants over its nodes.

    Args:
        store: where they are.
        batch_memory: seconds for which a batch is recognised when it comes again.
    """

    def __init__(self, store: Store, batch_memory: float) -> None:
        # The marker makes a repetition harmless, so a dropped connection may be answered by asking again.
        self._add = Script(store, load(__package__, "add.lua"), idempotent=True)
        self._read = Script(store, load(__package__, "read.lua"), idempotent=True)
        self._batch_memory = max(1, int(batch_memory))

    async def add(self, batch_id: str, batches: Sequence[ScopeBatch]) -> list[bool]:
        """See `SliceStore.add`. The scopes' scripts leave back to back and cost one round trip together."""
        added: list[bool] = []
        for begin in range(0, len(batches), _SCOPES_PER_WRITE):
            added += await self._add_some(batch_id, batches[begin : begin + _SCOPES_PER_WRITE])
        return added

    async def read(self, scope: str, slices: Sequence[Slice]) -> list[Tally]:
        """See `SliceStore.read`."""
        tallies: list[Tally] = []
        for begin in range(0, len(slices), _SLICES_PER_READ):
            reply = await self._read([_slice_key(scope, part) for part in slices[begin : begin + _SLICES_PER_READ]])
            tallies += [decode(pairs(fields)) for fields in array(reply)]
        return tallies

    async def _add_some(self, batch_id: str, batches: Sequence[ScopeBatch]) -> list[bool]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._add_one(batch_id, batch)) for batch in batches]
        except* MeshError as failures:
            error = _first(failures)
        else:
            return [task.result() for task in tasks]
        raise error

    async def _add_one(self, batch_id: str, batch: ScopeBatch) -> bool:
        keys: list[Argument] = [f"monitoring:{{{batch.scope}}}:batch:{batch_id}"]
        args: list[Argument] = [self._batch_memory]
        for part, tally in batch.tallies.items():
            fields = encode(tally)
            keys.append(_slice_key(batch.scope, part))
            args += (part.expires_at, len(fields))
            for field in fields:
                args += field
        return integer(await self._add(keys, args)) == 1


def _slice_key(scope: str, part: Slice) -> str:
    return f"monitoring:{{{scope}}}:{part.tier.width}:{part.start}"


def _first(failures: BaseExceptionGroup[MeshError]) -> MeshError:
    # Each scope fails for the same reason: the store. One of the errors says it all.
    for failure in failures.exceptions:
        return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
    raise ValueError("an exception group is never empty")
