"""Identifiers: time-ordered where lists are sorted by them, random where they only have to be unique."""

import os
import uuid
from typing import Final

from libs.core.clock import Clock

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def new_request_id() -> str:
    """A random UUID, as every mutation carries one."""
    return str(uuid.uuid4())


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its canonical 36-character form."""
    if len(text) != 36:
        return False
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def sortable_id(prefix: str, clock: Clock) -> str:
    """`<prefix>_` and 26 Crockford base-32 characters (a ULID): ids sort by the millisecond they were made in."""
    value = (int(clock.time() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    return f"{prefix}_{_base32(value, 26)}"


def random_id(prefix: str, characters: int) -> str:
    """`<prefix>` and `characters` random Crockford base-32 characters (5 bits each)."""
    value = int.from_bytes(os.urandom((characters * 5 + 7) // 8), "big")
    return prefix + _base32(value, characters)


def _base32(value: int, characters: int) -> str:
    out = [""] * characters
    for index in range(characters - 1, -1, -1):
        out[index] = _ALPHABET[value & 31]
        value >>= 5
    return "".join(out)
