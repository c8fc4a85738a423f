"""The service's key space. Everything of one tenant shares a hash tag, so that one script may touch all of it."""

from hashlib import blake2b
from typing import Final
from urllib.parse import quote

from services.semantic_cache.scope import Key

_PREFIX: Final = "cache"
_USER_BYTES: Final = 16

ANNOUNCEMENTS: Final = f"{_PREFIX}:{{announcements}}:feed"
"""STREAM: invalidations of all tenants."""


def entry(key: Key) -> str:
    """STRING: an encoded entry or alias; expires. Digests only: a key shows neither a text nor a user."""
    return f"{entries(key.tenant_id)}{key.entry.hex()}"


def entries(tenant_id: str) -> str:
    """What the names of a tenant's entries begin with; their digest in hex follows."""
    return f"{_tag(tenant_id)}:e:"


def floors(tenant_id: str) -> str:
    """ZSET: a tenant's clock, and since when what bears a mark is alive."""
    return f"{_tag(tenant_id)}:floors"


def lease(key: Key) -> str:
    """STRING: the token of whoever makes the answer; expires."""
    return f"{_tag(key.tenant_id)}:l:{key.entry.hex()}"


def members(key: Key, space: str) -> tuple[str, str, str]:
    """HASH, ZSET and STREAM: what of a scope can be found by meaning, by expiry, and what changed of it.

    `space` names the embedding space.
    """
    scope = f"{_tag(key.tenant_id)}:s:{key.scope.hex()}:{space}"
    return f"{scope}:members", f"{scope}:order", f"{scope}:feed"


def owned(tenant_id: str, user_id: str) -> str:
    """ZSET: what a user put."""
    return f"{_tag(tenant_id)}:u:{blake2b(user_id.encode(), digest_size=_USER_BYTES).hexdigest()}"


def outcomes(tenant_id: str, space: str) -> str:
    """STREAM: what turned out of decisions in an embedding space."""
    return f"{_tag(tenant_id)}:o:{space}"


def reported(tenant_id: str, request_id: str) -> str:
    """STRING: that a request was seen; expires."""
    return f"{_tag(tenant_id)}:r:{request_id}"


def counters(tenant_id: str) -> str:
    """HASH: a tenant's counters."""
    return f"{_tag(tenant_id)}:counters"


def _tag(tenant_id: str) -> str:
    return f"{_PREFIX}:{{{tenant_id if tenant_id.isascii() and tenant_id.isalnum() else quote(tenant_id, safe='')}}}"
