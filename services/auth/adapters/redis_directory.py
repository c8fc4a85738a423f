"""The directory on Redis: hashes and one sorted set per tenant, each change one script."""

from collections.abc import Mapping
from typing import Final

from libs.store.connection import Store
from libs.store.replies import array, blob, pairs
from libs.store.script import Script, load
from services.auth.adapters.redis_names import key_list, key_record, tenant_record
from services.auth.keys import tenant_of
from services.auth.limits import RateLimits
from services.auth.ports import KeyPage, Origin, Taken
from services.auth.records import ApiKey, Tenant

_METHOD: Final = b"method:"


class RedisDirectory:
    """Every script may run twice without harm, as a request_id recognises what it made."""

    def __init__(self, store: Store) -> None:
        def script(name: str) -> Script:
            return Script(store, load(__package__, name), idempotent=True)

        self._create_tenant: Final = script("create_tenant.lua")
        self._create_key: Final = script("create_key.lua")
        self._list_keys: Final = script("list_keys.lua")
        self._revoke_key: Final = script("revoke_key.lua")
        self._get: Final = Script(store, "return redis.call('HGETALL', KEYS[1])", idempotent=True)

    async def create_tenant(
        self, tenant_id: str, display_name: str, limits: RateLimits, origin: Origin
    ) -> Tenant | Taken:
        """The tenant, new or as the same request made it before."""
        fields: dict[str, str | int] = {
            "display_name": display_name,
            "tenant_per_minute": limits.tenant_per_minute,
            "user_per_minute": limits.user_per_minute,
        }
        fields.update({f"method:{method}": limit for method, limit in limits.method_per_minute.items()})
        args = (origin.request_id, origin.fingerprint, *_flat(fields))
        outcome, *record = array(await self._create_tenant((tenant_record(tenant_id),), args))
        if outcome != b"MADE":
            return Taken(blob(outcome).decode())
        return _tenant(tenant_id, pairs(record))

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant, or None."""
        record = pairs(await self._get((tenant_record(tenant_id),)))
        return _tenant(tenant_id, record) if record else None

    async def create_key(self, key: ApiKey, digest: bytes, origin: Origin) -> tuple[ApiKey, bool] | Taken:
        """The key and whether it is new."""
        tenant_id, key_id = key.tenant_id, key.key_id
        names = (tenant_record(tenant_id), key_record(tenant_id, key_id), key_list(tenant_id))
        fields: dict[str, str | int | bytes] = {
            "digest": digest,
            "user_id": key.user_id,
            "display_name": key.display_name,
            "scopes": " ".join(sorted(key.scopes)),
            "expire_ms": key.expire_time_ms,
            "revoke_ms": 0,
        }
        args = (key_id, origin.request_id, origin.fingerprint, *_flat(fields))
        outcome, *record = array(await self._create_key(names, args))
        if outcome not in (b"MADE", b"FOUND"):
            return Taken(blob(outcome).decode())
        return _api_key(key_id, pairs(record)), outcome == b"MADE"

    async def list_keys(self, tenant_id: str, cursor: str, size: int) -> KeyPage | None:
        """At most `size` keys after `cursor`, or None if there is no such tenant."""
        names = (tenant_record(tenant_id), key_list(tenant_id), key_record(tenant_id, ""))
        outcome, *page = array(await self._list_keys(names, (cursor, size)))
        if outcome != b"PAGE":
            return None
        following, *entries = page
        keys = []
        for entry in entries:
            key_id, record = array(entry)
            keys.append(_api_key(blob(key_id).decode(), pairs(record)))
        return KeyPage(keys, blob(following).decode())

    async def revoke_key(self, key_id: str) -> ApiKey | None:
        """The key, revoked now or earlier; None if there is none."""
        record = pairs(await self._revoke_key((key_record(tenant_of(key_id), key_id),)))
        return _api_key(key_id, record) if record else None


def _flat(fields: Mapping[str, str | int | bytes]) -> list[str | int | bytes]:
    return [part for item in fields.items() for part in item]


def _tenant(tenant_id: str, record: Mapping[bytes, bytes]) -> Tenant:
    per_method = {
        name.removeprefix(_METHOD).decode(): int(limit) for name, limit in record.items() if name.startswith(_METHOD)
    }
    limits = RateLimits(int(record[b"tenant_per_minute"]), int(record[b"user_per_minute"]), per_method)
    return Tenant(tenant_id, record[b"display_name"].decode(), limits, int(record[b"create_ms"]))


def _api_key(key_id: str, record: Mapping[bytes, bytes]) -> ApiKey:
    return ApiKey(
        key_id=key_id,
        tenant_id=tenant_of(key_id),
        user_id=record[b"user_id"].decode(),
        display_name=record[b"display_name"].decode(),
        scopes=frozenset(record[b"scopes"].decode().split()),
        create_time_ms=int(record[b"create_ms"]),
        expire_time_ms=int(record[b"expire_ms"]),
        revoke_time_ms=int(record[b"revoke_ms"]),
    )
