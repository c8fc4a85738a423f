"""Whose usage a caller may see."""

from typing import Final

from libs.core.context import Principal
from services.monitoring.aggregate import EVERYONE

OPERATOR_SCOPE: Final = "admin"


def visible_scope(principal: Principal) -> str:
    """All tenants together for an operator, otherwise the caller's own."""
    return EVERYONE if OPERATOR_SCOPE in principal.scopes else principal.tenant_id
