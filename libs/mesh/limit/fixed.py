"""A limit that somebody chose."""

from dataclasses import dataclass

from libs.mesh.faults import refuse
from libs.mesh.limit.base import LimitStatistics


@dataclass(frozen=True, slots=True)
class FixedLimitOptions:
    """Options of a `FixedLimit`.

    Attributes:
        limit: attempts that may be in flight at once, at least 1.
    """

    # HTTP/2 servers commonly permit 100 concurrent streams (RFC 9113, section 6.5.2 advises no less); what is sent
    # beyond that waits inside the connection, where no balancer sees it.
    limit: int = 100

    def __post_init__(self) -> None:
        refuse("limit", [] if self.limit >= 1 else [f"limit must be at least 1, got {self.limit}"])


class FixedLimit:
    """The same limit, whatever happens."""

    __slots__ = ("limit",)

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Attempts that may be in flight at once."""

    def observe(self, seconds: float, in_flight: int, dropped: bool, now: float) -> None:
        """Nothing changes it."""

    def statistics(self) -> LimitStatistics:
        """A snapshot."""
        return LimitStatistics(self.limit, 0.0, 0)

    def __repr__(self) -> str:
        return f"<FixedLimit {self.limit}>"
