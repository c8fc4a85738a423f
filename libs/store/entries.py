"""What a work queue hands out, and how it looks inside Redis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from libs.store.replies import Reply, array, blob, integer, pairs

ORIGIN: Final = b"@origin"
DELIVERIES: Final = b"@deliveries"
REASON: Final = b"@reason"
_RESERVED: Final = b"@"

Name = TypeVar("Name", str, bytes)
"""Field names may be given as text or as bytes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of work as one consumer was given it."""

    id: bytes
    """Where it stands in the stream now; what `ack` and `heartbeat` take. A retry has another."""
    origin: bytes
    """The id that `enqueue` returned; the same through all retries."""
    fields: Mapping[bytes, bytes]
    """What was enqueued."""
    deliveries: int
    """How many times it was handed out so far, this time included; 1 at first. Retries keep counting."""
    consumer: str
    """Who was given it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that was given up."""

    id: bytes
    """What `replay` takes."""
    origin: bytes
    """The id that `enqueue` returned."""
    fields: Mapping[bytes, bytes]
    """What was enqueued."""
    deliveries: int
    """How many times it was tried."""
    reason: str
    """Why it was given up."""


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """How much work a queue holds."""

    waiting: int
    """Not yet given to anybody."""
    pending: int
    """Given to a consumer, not yet acknowledged."""
    delayed: int
    """Waiting for their time."""
    dead: int
    """Given up."""
    oldest_seconds: float
    """Age of the oldest entry that waits or is pending; 0 if there is none."""

    @property
    def depth(self) -> int:
        """All work that is still to be done."""
        return self.waiting + self.pending + self.delayed


def to_bytes(text: bytes | str) -> bytes:
    """`text` as it is stored."""
    return text.encode() if isinstance(text, str) else text


def flatten(fields: Mapping[Name, bytes | str]) -> list[bytes]:
    """Fields as XADD takes them.

    Raises:
        ValueError: there is none, or a name starts with `@`, which the queue uses itself.
    """
    flat: list[bytes] = []
    for name, value in fields.items():
        encoded = to_bytes(name)
        if encoded.startswith(_RESERVED):
            raise ValueError(f"field names that start with @ are reserved, got {encoded!r}")
        flat += (encoded, to_bytes(value))
    if not flat:
        raise ValueError("an entry needs at least one field")
    return flat


def make_entry(entry_id: bytes, stored: Mapping[bytes, bytes], deliveries: int, consumer: str) -> Entry:
    """An entry from its stored fields and the stream's own delivery count."""
    if ORIGIN not in stored:
        return Entry(entry_id, entry_id, stored, deliveries, consumer)
    earlier = int(stored.get(DELIVERIES, b"0"))
    return Entry(entry_id, stored[ORIGIN], _own(stored), earlier + deliveries, consumer)


def parse_read(reply: Reply, consumer: str) -> list[Entry]:
    """The answer of read.lua."""
    entries = []
    for item in array(reply):
        entry_id, stored = array(item)
        entries.append(make_entry(blob(entry_id), pairs(stored), 1, consumer))
    return entries


def parse_claimed(reply: Reply, consumer: str) -> list[Entry]:
    """The answer of claim.lua."""
    entries = []
    for item in array(reply):
        entry_id, stored, deliveries = array(item)
        entries.append(make_entry(blob(entry_id), pairs(stored), integer(deliveries), consumer))
    return entries


def make_dead_letter(letter_id: bytes, stored: Mapping[bytes, bytes]) -> DeadLetter:
    """A dead letter from its stored fields."""
    return DeadLetter(
        id=letter_id,
        origin=stored[ORIGIN],
        fields=_own(stored),
        deliveries=int(stored[DELIVERIES]),
        reason=stored[REASON].decode("utf-8", "replace"),
    )


def _own(stored: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in stored.items() if not name.startswith(_RESERVED)}
