"""What auth's decisions need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from libs.core.context import Principal
from services.auth.limits import RateLimits
from services.auth.records import ApiKey, Tenant


class Standing(Enum):
    """How it stands with a key and with what it asks for."""

    ADMITTED = "ADMITTED"
    UNKNOWN = "UNKNOWN"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    DISABLED = "DISABLED"
    LIMITED = "LIMITED"


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """May this key make one more call of this method, or several?"""

    key_id: str
    method: str
    digest: bytes = b""
    """What the presented credential hashes to; empty if a verified token of ours stands for the key."""
    user_id: str = ""
    """The user a token speaks for; the key's own user counts if a digest is given."""
    wanted_calls: int = 1
    """How many calls to admit if there is room for twice as many; at least 1."""


@dataclass(frozen=True, slots=True)
class HitLimit:
    """A limit that a request did not fit."""

    subject: str
    """Whose limit: `tenant:<id>`, `user:<id>` or `method:/<package>.<Service>/<Method>`."""
    per_minute: int
    capacity: int
    """How many requests it lets pass at once."""
    wait_seconds: float
    """When it would let the next one pass."""


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """The gate's answer; the key's facts are there if it was admitted, the limits if it was limited."""

    standing: Standing
    user_id: str = ""
    scopes: frozenset[str] = frozenset()
    expire_time_ms: int = 0
    hit: tuple[HitLimit, ...] = ()
    granted_calls: int = 0
    """How many calls were admitted and counted; 0 unless the standing is ADMITTED."""


class Gate(Protocol):
    """Checks a key and takes requests from each of its limits, all in one atomic step."""

    async def admit(self, question: GateQuestion) -> GateAnswer:
        """The answer; a request that is not admitted consumes nothing. Raises MeshError if the store is lost."""
        ...


class TokenReader(Protocol):
    """Verifies tokens that this service signed."""

    async def read(self, token: str) -> Principal:
        """Who the token speaks for. Raises MeshError INVALID_CREDENTIALS or EXPIRED_CREDENTIALS."""
        ...


class Taken(Enum):
    """Why a record could not be made under an id."""

    ID_TAKEN = "ID_TAKEN"
    """Another request made a record with this id: try the next id."""
    REQUEST_REUSED = "REQUEST_REUSED"
    """The same request_id came before with different content."""
    NO_TENANT = "NO_TENANT"
    """The tenant does not exist."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which request makes a record: what recognises a repeated one."""

    request_id: str
    fingerprint: str
    """A digest of everything the request asked for."""


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Some of a tenant's keys, oldest first."""

    keys: Sequence[ApiKey]
    cursor: str
    """Where the next page starts; empty on the last one."""


class Directory(Protocol):
    """Remembers tenants and keys. Every method raises MeshError STORE_UNAVAILABLE if the store is lost."""

    async def create_tenant(
        self, tenant_id: str, display_name: str, limits: RateLimits, origin: Origin
    ) -> Tenant | Taken:
        """The tenant, new or as the same request made it before."""
        ...

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant, or None."""
        ...

    async def create_key(self, key: ApiKey, digest: bytes, origin: Origin) -> tuple[ApiKey, bool] | Taken:
        """The key and whether it is new; `create_time_ms` is the store's to fill in."""
        ...

    async def list_keys(self, tenant_id: str, cursor: str, size: int) -> KeyPage | None:
        """At most `size` keys after `cursor`, or None if there is no such tenant."""
        ...

    async def revoke_key(self, key_id: str) -> ApiKey | None:
        """The key, revoked now or earlier; None if there is none."""
        ...
