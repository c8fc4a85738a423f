"""What auth remembers: tenants and API keys, without their secrets."""

from dataclasses import dataclass

from services.auth.limits import RateLimits


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer: the unit of isolation, limits and bills."""

    tenant_id: str
    display_name: str
    limits: RateLimits
    create_time_ms: int
    """Unix milliseconds, by the store's clock."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as lists show it."""

    key_id: str
    tenant_id: str
    user_id: str
    """Whom calls made with it act as; empty for keys that administrate or serve many users."""
    display_name: str
    scopes: frozenset[str]
    create_time_ms: int
    """Unix milliseconds, by the store's clock."""
    expire_time_ms: int = 0
    """Unix milliseconds after which it no longer works; 0 means never."""
    revoke_time_ms: int = 0
    """Unix milliseconds when it was revoked; 0 while it works."""
