"""The service's key space. Everything of one tenant shares a hash tag, so that one script may touch all of it."""

from typing import Final
from urllib.parse import quote

from services.semantic_cache.scope import Key

_PREFIX: Final = "cache"


def entry(key: Key) -> str:
    """STRING: an encoded entry; expires. Digests only: a key shows neither a text nor a user."""
    return f"{_tag(key.tenant_id)}:e:{key.entry.hex()}"


def order(key: Key, space: str) -> str:
    """ZSET: the entries of a scope that can be found by meaning, by sequence number. `space` names the model."""
    return f"{_tag(key.tenant_id)}:s:{key.scope.hex()}:{space}:order"


def vectors(key: Key, space: str) -> str:
    """HASH: entry -> expiry and vector, of the same entries."""
    return f"{_tag(key.tenant_id)}:s:{key.scope.hex()}:{space}:vectors"


def counters(tenant_id: str) -> str:
    """HASH: a tenant's counters."""
    return f"{_tag(tenant_id)}:counters"


def _tag(tenant_id: str) -> str:
    return f"{_PREFIX}:{{{tenant_id if tenant_id.isascii() and tenant_id.isalnum() else quote(tenant_id, safe='')}}}"
