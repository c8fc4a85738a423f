"""The registry: tenants and API keys, and who may make, see and end them."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import orjson

from libs.core.clock import Clock
from libs.core.context import Principal
from libs.core.errors import MeshError, Reason, invalid, not_found
from services.auth import scopes
from services.auth.keys import KeyMint, tenant_of
from services.auth.limits import RateLimits
from services.auth.pages import PageTokens
from services.auth.ports import Directory, Origin, Taken
from services.auth.records import ApiKey, Tenant

_ID_ATTEMPTS: Final = 8
_DEFAULT_SCOPES: Final = frozenset({scopes.CHAT})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a caller wants a key to be."""

    tenant_id: str
    user_id: str
    display_name: str
    scopes: frozenset[str]
    """Empty means `chat`."""
    expire_time_ms: int
    """Unix milliseconds; 0 means never."""


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A key and, the first time only, its whole credential."""

    key: ApiKey
    credential: str


@dataclass(frozen=True, slots=True)
class ListedKeys:
    """A page of keys, oldest first, and the token of the next one (empty: there is none)."""

    keys: tuple[ApiKey, ...]
    next_page_token: str


class Registry:
    """Every method takes the caller and refuses what they may not do, as `scopes` says."""

    def __init__(self, directory: Directory, mint: KeyMint, pages: PageTokens, clock: Clock) -> None:
        self._directory: Final = directory
        self._mint: Final = mint
        self._pages: Final = pages
        self._clock: Final = clock

    async def create_tenant(self, caller: Principal, request_id: str, display_name: str, limits: RateLimits) -> Tenant:
        """The tenant that this request makes or made. Raises MeshError, REQUEST_ID_REUSED among others."""
        scopes.require_admin(caller)
        per_method = dict(limits.method_per_minute)
        origin = _origin(request_id, display_name, limits.tenant_per_minute, limits.user_per_minute, per_method)

        async def attempt(number: int) -> Tenant | Taken:
            tenant_id = self._mint.tenant_id(origin.request_id, number)
            return await self._directory.create_tenant(tenant_id, display_name, limits, origin)

        return await _first_free(attempt)

    async def get_tenant(self, caller: Principal, tenant_id: str) -> Tenant:
        """The tenant; NOT_FOUND if there is none or it is not the caller's to see."""
        scopes.require_tenant(caller, tenant_id, "tenant")
        tenant = await self._directory.get_tenant(tenant_id)
        if tenant is None:
            raise not_found("tenant")
        return tenant

    async def create_key(self, caller: Principal, request_id: str, new: NewKey) -> CreatedKey:
        """The key that this request makes, with its credential, or made earlier, without it."""
        scopes.require_tenant(caller, new.tenant_id, "tenant")
        granted = new.scopes or _DEFAULT_SCOPES
        scopes.require_grant(caller, granted)
        if new.expire_time_ms and new.expire_time_ms <= self._clock.time() * 1000:
            raise invalid("expire_time", "must be in the future")
        origin = _origin(request_id, new.user_id, new.display_name, sorted(granted), new.expire_time_ms)

        async def attempt(number: int) -> CreatedKey | Taken:
            key_id = self._mint.key_id(new.tenant_id, origin.request_id, number)
            return await self._store_key(key_id, new, granted, origin)

        return await _first_free(attempt)

    async def list_keys(self, caller: Principal, tenant_id: str, page_token: str, page_size: int) -> ListedKeys:
        """A page of a tenant's keys; INVALID_PAGE_TOKEN unless `page_token` is from the page before."""
        scopes.require_tenant(caller, tenant_id, "tenant")
        subject = f"keys:{tenant_id}"
        page = await self._directory.list_keys(tenant_id, self._pages.open(subject, page_token), page_size)
        if page is None:
            raise not_found("tenant")
        return ListedKeys(tuple(page.keys), self._pages.seal(subject, page.cursor))

    async def revoke_key(self, caller: Principal, key_id: str) -> ApiKey:
        """The key, revoked."""
        scopes.require_tenant(caller, tenant_of(key_id), "API key")
        key = await self._directory.revoke_key(key_id)
        if key is None:
            raise not_found("API key")
        return key

    async def _store_key(self, key_id: str, new: NewKey, granted: frozenset[str], origin: Origin) -> CreatedKey | Taken:
        minted = self._mint.mint(key_id)
        # The store fills in the time, by its own clock.
        key = ApiKey(key_id, new.tenant_id, new.user_id, new.display_name, granted, 0, new.expire_time_ms)
        stored = await self._directory.create_key(key, minted.digest, origin)
        if isinstance(stored, Taken):
            return stored
        made, is_new = stored
        return CreatedKey(made, minted.credential if is_new else "")


async def _first_free(attempt: Callable[[int], Awaitable[T | Taken]]) -> T:
    for number in range(_ID_ATTEMPTS):
        made = await attempt(number)
        if made is Taken.REQUEST_REUSED:
            raise MeshError(Reason.REQUEST_ID_REUSED)
        if made is Taken.NO_TENANT:
            raise not_found("tenant")
        if not isinstance(made, Taken):
            return made
    # With 2^40 ids this does not happen by chance.
    raise MeshError(Reason.INTERNAL)


def _origin(request_id: str, *content: object) -> Origin:
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return Origin(request_id.lower(), hashlib.sha256(text).hexdigest())
