"""Identifiers: time-ordered where lists are sorted by them, random where they only have to be unique."""

import os
import uuid
from typing import Final

from libs.core.clock import Clock

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
# Two digits for every ten bits.
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)


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
    """The lowest `characters` base-32 digits of `value`; exactly as many, with zeros in front."""
    # `int` knows how to write base 16 but not base 32, and shifting digit by digit makes a number for each. Forty
    # bits at a time are eight digits, four look-ups in a table of pairs, and small numbers throughout.
    pairs = _PAIRS
    text = ""
    for _ in range((characters + 7) >> 3):
        chunk = value & 0xFF_FFFF_FFFF
        value >>= 40
        text = (
            pairs[chunk >> 30] + pairs[chunk >> 20 & 1023] + pairs[chunk >> 10 & 1023] + pairs[chunk & 1023] + text
        )
    return text[-characters:] if characters else ""
