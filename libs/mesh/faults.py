"""A configuration that cannot be used, with everything that is wrong with it."""

from collections.abc import Sequence
from typing import Final


class InvalidConfigurationError(ValueError):
    """Raised where a target or options are constructed; a start then fails naming every fault at once.

    Attributes:
        faults: one line per fault, each naming the part at fault.
    """

    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        self.faults: Final = tuple(faults)
        super().__init__(f"{subject}: " + "; ".join(faults))


def refuse(subject: str, faults: Sequence[str]) -> None:
    """Raise `InvalidConfigurationError` if there are faults."""
    if faults:
        raise InvalidConfigurationError(subject, faults)
