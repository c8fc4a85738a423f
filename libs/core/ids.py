"""Identifiers: time-ordered where lists are sorted by them, random where they only have to be unique."""

import os
import re
import uuid
from typing import Final

from libs.core.clock import Clock

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
# Two digits for every ten bits.
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
# Each digit stands for eight of the 256 values of a byte, so all are equally likely.
_DIGIT_OF_BYTE: Final = _ALPHABET.encode() * 8
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def new_request_id() -> str:
    """A random UUID, as every mutation carries one."""
    return str(uuid.uuid4())


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its canonical 36-character form."""
    return _UUID.fullmatch(text) is not None


def sortable_id(prefix: str, clock: Clock) -> str:
    """`<prefix>_` and 26 Crockford base-32 characters (a ULID): ids sort by the millisecond they were made in."""
    at = int(clock.time() * 1000)
    return (
        f"{prefix}_{_PAIRS[at >> 40 & 1023]}{_PAIRS[at >> 30 & 1023]}{_PAIRS[at >> 20 & 1023]}"
        f"{_PAIRS[at >> 10 & 1023]}{_PAIRS[at & 1023]}{_random(16)}"
    )


def random_id(prefix: str, characters: int) -> str:
    """`<prefix>` and `characters` random Crockford base-32 characters (5 bits each)."""
    return prefix + _random(characters)


def _random(characters: int) -> str:
    # A byte for every five bits, as the machine's randomness costs less than regrouping bits in Python.
    return os.urandom(characters).translate(_DIGIT_OF_BYTE).decode("ascii")
