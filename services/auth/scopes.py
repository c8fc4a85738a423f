"""Scopes: who may do what to whose tenant, and who may grant what to whom."""

from collections.abc import Iterable
from typing import Final

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason, not_found

CHAT: Final = "chat"
TENANT_ADMIN: Final = "tenant.admin"
ADMIN: Final = "admin"
METRICS_READ: Final = "metrics.read"
INTERNAL: Final = "internal"

GRANTABLE: Final = frozenset({CHAT, TENANT_ADMIN, ADMIN, METRICS_READ})
"""What an API key may hold; `internal` is for services alone."""
DELEGABLE: Final = frozenset({CHAT})
"""What a key may hand on to an end user: never the right to administrate."""

ROOT_TENANT: Final = "root"
SYSTEM_TENANT: Final = "system"


def require_admin(caller: Principal) -> None:
    """Refuse everybody but operators."""
    if ADMIN not in caller.scopes:
        raise _missing(ADMIN)


def require_tenant(caller: Principal, tenant_id: str, what: str) -> None:
    """Refuse everybody but operators and the tenant's own administrators.

    Raises:
        MeshError: MISSING_SCOPE for somebody who administrates nothing; NOT_FOUND (of `what`) for another tenant's
            administrator, who must not learn what exists.
    """
    if ADMIN in caller.scopes:
        return
    if TENANT_ADMIN not in caller.scopes:
        raise _missing(TENANT_ADMIN)
    if caller.tenant_id != tenant_id:
        raise not_found(what)


def require_grant(caller: Principal, scopes: Iterable[str]) -> None:
    """Refuse to grant what the caller could not do: operators grant anything grantable, others what they hold.

    A tenant's administrator may also grant `chat`, since a tenant is there to chat.
    """
    if ADMIN in caller.scopes:
        return
    excess = sorted(set(scopes) - caller.scopes - {CHAT})
    if excess:
        raise MeshError(Reason.MISSING_SCOPE, f"The credentials do not allow to grant: {', '.join(excess)}.")


def delegated(scopes: frozenset[str], key_user_id: str, user_id: str) -> frozenset[str]:
    """What a token for `user_id`, asked for with a key of `scopes` that acts as `key_user_id`, may do.

    A key of its own user, or no `user_id`, keeps the key's scopes. A key without a user that holds `chat` may speak
    for any user of its tenant, who then may chat and nothing else.

    Raises:
        MeshError: MISSING_SCOPE if the key may not speak for that user.
    """
    if user_id in ("", key_user_id):
        return scopes
    if key_user_id:
        raise MeshError(Reason.MISSING_SCOPE, "The API key acts as a user of its own and cannot speak for others.")
    if CHAT not in scopes:
        raise _missing(CHAT)
    return scopes & DELEGABLE


def _missing(scope: str) -> MeshError:
    return MeshError(Reason.MISSING_SCOPE, f"The credentials lack the scope {scope}.")
