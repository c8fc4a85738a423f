"""What was stored, read back: records and queue entries that cannot be are a failure of their own kind."""

from types import TracebackType
from typing import Final

from google.protobuf.message import DecodeError

from libs.core.errors import MeshError, Reason

_FAULTS: Final = (KeyError, ValueError, DecodeError)
"""A field is missing, is not UTF-8 or no number of the contract (both ValueError), or is no such message."""

MALFORMED: Final = "malformed"
"""Why the dead letter of such an entry was given up."""


class MalformedError(MeshError):
    """Something in the store is not what this version writes. Trying again will not mend it."""

    def __init__(self, what: str) -> None:
        super().__init__(Reason.INTERNAL, f"The {what} cannot be read.")


class parsing:  # noqa: N801 - reads as what it is: `with parsing("job"):`
    """Inside the block, which only parses, what cannot be parsed is a MalformedError."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what: Final = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _FAULTS):
            raise MalformedError(self._what) from error
