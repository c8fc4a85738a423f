"""What tenants may have: how wrong their hits may be, and how long answers live."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """One tenant's rules."""

    max_wrong_rate: float
    """The highest share of wrong answers among those served by meaning, more than 0 and at most 0.5."""
    ttl_seconds: float
    """How long an answer lives if Put names no time; positive and finite."""

    def __post_init__(self) -> None:
        if not 0 < self.max_wrong_rate <= 0.5:
            # Also what NaN comes to.
            raise ValueError(f"max_wrong_rate must be more than 0 and at most 0.5, got {self.max_wrong_rate}")
        if not 0 < self.ttl_seconds < inf:
            raise ValueError(f"ttl_seconds must be positive and finite, got {self.ttl_seconds}")


class Policies:
    """Every tenant's rules.

    Args:
        default: for all that have none of their own.
        tenants: those that have.
    """

    def __init__(self, default: TenantPolicy, tenants: Mapping[str, TenantPolicy]) -> None:
        self._default: Final = default
        self._tenants: Final = dict(tenants)

    def of(self, tenant_id: str) -> TenantPolicy:
        """The rules of a tenant."""
        return self._tenants.get(tenant_id, self._default)

    def max_wrong_rate(self, tenant_id: str, asked: float) -> float:
        """What applies to a request that asks for `asked` (0: nothing): the stricter of its wish and the rules."""
        allowed = self.of(tenant_id).max_wrong_rate
        return min(allowed, asked) if asked else allowed
