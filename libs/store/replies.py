"""What Redis answers, and readers that turn it into what a caller expects or fail loudly."""

from typing import TypeAlias

Reply: TypeAlias = "bytes | int | list[Reply] | None"
"""A RESP2 reply: bulk strings are bytes, a Lua `false` or a missing value is None."""

Argument: TypeAlias = bytes | str | int | float
"""What can be sent: text as UTF-8, numbers in decimal."""


def integer(reply: Reply) -> int:
    """An integer, also where Redis sends it as decimal text (`GET` of a counter, a stream's field)."""
    if isinstance(reply, bytes):
        return int(reply)
    if isinstance(reply, int):
        return reply
    raise TypeError(f"expected an integer, Redis answered {type(reply).__name__}")


def blob(reply: Reply) -> bytes:
    """A byte string."""
    if isinstance(reply, bytes):
        return reply
    raise TypeError(f"expected a string, Redis answered {type(reply).__name__}")


def optional_blob(reply: Reply) -> bytes | None:
    """A byte string, or None where there is none."""
    return None if reply is None else blob(reply)


def array(reply: Reply) -> list[Reply]:
    """An array; a missing one is empty."""
    if isinstance(reply, list):
        return reply
    if reply is None:
        return []
    raise TypeError(f"expected an array, Redis answered {type(reply).__name__}")


def blobs(reply: Reply) -> list[bytes]:
    """An array of byte strings."""
    return [blob(item) for item in array(reply)]


def integers(reply: Reply) -> list[int]:
    """An array of integers."""
    return [integer(item) for item in array(reply)]


def pairs(reply: Reply) -> dict[bytes, bytes]:
    """A flat array of field, value, field, value, such as a hash or a stream entry's fields."""
    flat = blobs(reply)
    return dict(zip(flat[::2], flat[1::2], strict=True))
