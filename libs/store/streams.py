"""A durable work queue on one Redis Stream and one consumer group: at-least-once, bounded, nothing lost or doubled.

An entry is always in exactly one place: waiting or pending in the stream, delayed, dead, or done and gone. Every
move is one script. What at-least-once leaves to consumers: effects must be idempotent, since a consumer may die
between its effect and its `ack`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from redis.exceptions import ResponseError

from libs.core.errors import MeshError, Reason
from libs.store.connection import Store
from libs.store.entries import (
    DeadLetter,
    Entry,
    Name,
    QueueStatistics,
    flatten,
    make_dead_letter,
    make_entry,
    parse_claimed,
    parse_read,
)
from libs.store.replies import Argument, blob, blobs, integer, integers
from libs.store.script import Script, load

_SCRIPTS: Final = "libs.store.lua"
_DATA_WAS_LOST: Final = ("NOGROUP", "UNBLOCKED")


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much a queue may hold."""

    max_depth: int = 100_000
    """Entries waiting, pending and delayed; `enqueue` is refused beyond."""
    max_dead: int = 10_000
    """Dead letters kept; the oldest go first."""
    full_retry_seconds: float = 5.0
    """What a refused caller is told to wait."""

    def __post_init__(self) -> None:
        if self.max_depth < 1 or self.max_dead < 1 or self.full_retry_seconds <= 0:
            raise ValueError(f"all limits must be positive, got {self}")


DEFAULT_LIMITS: Final = QueueLimits()


class StreamQueue:
    """See the module. Any number of processes may hold one for the same key.

    Args:
        store: where it lives.
        key: its name, with a hash tag: `conversation:{jobs}:queue`. Its other keys begin with it.
        group: the consumer group; those who share the work share it.
        limits: how much it may hold.
    """

    def __init__(self, store: Store, key: str, group: str = "workers", limits: QueueLimits = DEFAULT_LIMITS) -> None:
        opening, closing = key.find("{"), key.find("}")
        if opening < 0 or closing <= opening + 1:
            raise ValueError(f"a queue's key needs a hash tag such as {{jobs}}, got {key!r}")
        self.key: Final = key
        self._group: Final = group
        self._limits: Final = limits
        self._store: Final = store
        self._delayed: Final = f"{key}:delayed"
        self._held: Final = f"{key}:held"
        self._dead: Final = f"{key}:dead"
        self._scripts: Final = _Scripts(store)

    def __repr__(self) -> str:
        return f"StreamQueue({self.key!r}, group={self._group!r})"

    async def enqueue(self, fields: Mapping[Name, bytes | str]) -> bytes:
        """Add work; once this returns, it is in the store. Returns its id, which later is `Entry.origin`.

        Raises:
            MeshError: OVERLOADED when the queue is full; STORE_UNAVAILABLE, and then it may or may not be in.
            ValueError: no field, or a name that starts with `@`.
        """
        arguments: list[Argument] = [self._limits.max_depth, self._group, *flatten(fields)]
        reply = await self._scripts.enqueue((self.key, self._delayed), arguments)
        if reply is None:
            raise self._full()
        return blob(reply)

    async def read(self, consumer: str, count: int = 1, block_seconds: float = 0.0) -> list[Entry]:
        """Up to `count` new entries, now held by `consumer`; waits for the first one if there is none.

        Returns empty after `block_seconds`, or sooner where that is longer than half the store's timeout: call again.
        If the caller is cancelled, entries already handed out stay pending until somebody claims them.

        Args:
            consumer: a name no other process uses at the same time.
            count: how many at most.
            block_seconds: how long to wait; 0 does not.
        """
        # Without waiting first: it costs a tenth, needs no connection of its own, and makes the group.
        entries = parse_read(await self._scripts.read((self.key,), (self._group, consumer, count)), consumer)
        if entries or block_seconds <= 0:
            return entries
        return await self._wait(consumer, count, min(block_seconds, self._store.limits.timeout / 2))

    async def _wait(self, consumer: str, count: int, seconds: float) -> list[Entry]:
        milliseconds = max(1, int(seconds * 1000))  # 0 would wait for ever
        with self._store.guard():
            try:
                reply = await self._store.redis.xreadgroup(
                    self._group, consumer, {self.key: ">"}, count=count, block=milliseconds
                )
            except ResponseError as error:
                if str(error).startswith(_DATA_WAS_LOST):
                    return []  # the next read makes the group again
                raise
        streams = cast("list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]", reply or [])
        return [make_entry(entry_id, stored, 1, consumer) for _, items in streams for entry_id, stored in items]

    async def ack(self, entry_id: bytes) -> bool:
        """The work is done: forget it. False if it was not pending any more: acknowledged, or moved by another."""
        return integer(await self._scripts.ack((self.key,), (self._group, entry_id))) == 1

    async def heartbeat(self, consumer: str, entry_ids: Sequence[bytes]) -> list[bytes]:
        """Tell that `consumer` still works on these. Returns those it no longer owns: stop working on them."""
        if not entry_ids:
            return []
        return blobs(await self._scripts.heartbeat((self.key,), (self._group, consumer, *entry_ids)))

    async def claim_idle(
        self, consumer: str, min_idle_seconds: float, count: int = 10, *, working: Collection[bytes] = ()
    ) -> list[Entry]:
        """Take over up to `count` entries whose consumer gave no sign for `min_idle_seconds`.

        Includes what an earlier process of the same name left behind. Entries deleted meanwhile are passed over.

        Args:
            consumer: who takes them.
            min_idle_seconds: several heartbeats long, or work that goes on is done twice.
            count: how many at most.
            working: ids this consumer is working on right now, which it must not be given again.
        """
        arguments: list[Argument] = [self._group, consumer, int(min_idle_seconds * 1000), count, *working]
        return parse_claimed(await self._scripts.claim((self.key,), arguments), consumer)

    async def delay(self, entry: Entry, seconds: float) -> bool:
        """Try again in `seconds`: the entry leaves its consumer until `promote_due`. False if it was already lost."""
        keys = (self.key, self._delayed, self._held)
        return integer(await self._scripts.delay(keys, (*self._owner(entry), int(seconds * 1000)))) == 1

    async def promote_due(self, limit: int = 100) -> int:
        """Put delayed entries whose time has come (by Redis's clock) back. Any process may call it, every second or so.

        Returns:
            How many were put back; `limit` means that there may be more.
        """
        return integer(await self._scripts.promote((self.key, self._delayed, self._held), (limit,)))

    async def dead_letter(self, entry: Entry, reason: str) -> bytes | None:
        """Give the entry up. Returns the dead letter's id, or None if the consumer had already lost the entry."""
        arguments = (*self._owner(entry), self._limits.max_dead, reason)
        reply = await self._scripts.dead_letter((self.key, self._dead), arguments)
        return None if reply is None else blob(reply)

    async def dead_letters(self, count: int = 100, before: bytes = b"") -> list[DeadLetter]:
        """The newest dead letters, newest first; `before` an id pages on."""
        newest = b"(" + before if before else b"+"
        with self._store.guard():
            reply = await self._store.redis.xrevrange(self._dead, newest, "-", count=count)
        letters = cast("list[tuple[bytes, dict[bytes, bytes]]]", reply or [])
        return [make_dead_letter(letter_id, stored) for letter_id, stored in letters]

    async def replay(self, letter_id: bytes) -> bytes | None:
        """Put a dead letter back to work, its deliveries counted from 0. Returns the entry's id; None if unknown.

        Raises:
            MeshError: OVERLOADED when the queue is full.
        """
        reply = await self._scripts.replay((self.key, self._delayed, self._dead), (self._limits.max_depth, letter_id))
        if reply == 0:
            raise self._full()
        return None if reply is None else blob(reply)

    async def leave(self, consumer: str) -> int:
        """For a consumer that stops: what it still holds can be claimed at once. Returns how many entries those are."""
        return integer(await self._scripts.leave((self.key,), (self._group, consumer)))

    async def prune_consumers(self, idle_seconds: float) -> int:
        """Forget consumers that hold nothing and were not seen for so long; returns how many."""
        return integer(await self._scripts.prune((self.key,), (self._group, int(idle_seconds * 1000))))

    async def depth(self) -> int:
        """How much work is still to be done."""
        return (await self.statistics()).depth

    async def statistics(self) -> QueueStatistics:
        """How much the queue holds, all counted at one moment."""
        reply = await self._scripts.statistics((self.key, self._delayed, self._dead), (self._group,))
        waiting, pending, delayed, dead, age_ms = integers(reply)
        return QueueStatistics(waiting, pending, delayed, dead, age_ms / 1000)

    def _owner(self, entry: Entry) -> tuple[str, str, bytes, int]:
        # The delivery count fences: whoever got the entry later, even under the same name, has a higher one.
        return self._group, entry.consumer, entry.id, entry.deliveries

    def _full(self) -> MeshError:
        return MeshError(
            Reason.OVERLOADED, "The queue is full; retry later.", retry_after=self._limits.full_retry_seconds
        )


class _Scripts:
    """The queue's scripts, bound to a store. Idempotent ones survive a dropped connection."""

    def __init__(self, store: Store) -> None:
        entry = load(_SCRIPTS, "entry.lua")
        self.enqueue: Final = Script(store, load(_SCRIPTS, "enqueue.lua"))
        self.read: Final = Script(store, load(_SCRIPTS, "read.lua"))
        self.ack: Final = Script(store, load(_SCRIPTS, "ack.lua"))
        self.heartbeat: Final = Script(store, load(_SCRIPTS, "heartbeat.lua"), idempotent=True)
        self.claim: Final = Script(store, load(_SCRIPTS, "claim.lua"))
        self.delay: Final = Script(store, entry + load(_SCRIPTS, "delay.lua"))
        self.promote: Final = Script(store, load(_SCRIPTS, "promote.lua"), idempotent=True)
        self.dead_letter: Final = Script(store, entry + load(_SCRIPTS, "dead_letter.lua"))
        self.replay: Final = Script(store, load(_SCRIPTS, "replay.lua"))
        self.leave: Final = Script(store, load(_SCRIPTS, "leave.lua"), idempotent=True)
        self.prune: Final = Script(store, load(_SCRIPTS, "prune.lua"), idempotent=True)
        self.statistics: Final = Script(store, load(_SCRIPTS, "statistics.lua"), idempotent=True)
