"""How the server treats each method."""

from collections.abc import Mapping
from typing import Final

from libs.server.spec import Access, MethodPolicy
from services.semantic_cache import validation
from services.semantic_cache.settings import SemanticCacheSettings

CACHE: Final = "agentmesh.semantic_cache.v1.SemanticCacheService"
EMBEDDING: Final = "agentmesh.semantic_cache.v1.EmbeddingService"
_TIMEOUT: Final = 5.0
_LONG: Final = 60.0
# As long as a lookup may wait, and a little for itself.
_WAITING: Final = 605.0
_TENANT_ADMIN: Final = "tenant.admin"


def cache_policies(settings: SemanticCacheSettings, dimension: int) -> Mapping[str, MethodPolicy]:
    """Answers are for services to look up and keep; what concerns a whole tenant is for its administrators."""
    validate_put = validation.PutValidator(settings.max_ttl, dimension)
    return {
        f"/{CACHE}/Lookup": MethodPolicy(Access.INTERNAL, "", _WAITING, validation.lookup),
        f"/{CACHE}/Put": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validate_put),
        f"/{CACHE}/RenewLease": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validation.lease),
        f"/{CACHE}/ReleaseLease": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validation.lease),
        f"/{CACHE}/ReportOutcome": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validation.report_outcome),
        f"/{CACHE}/Invalidate": MethodPolicy(Access.USER, _TENANT_ADMIN, _LONG, validation.invalidate),
        f"/{CACHE}/EraseUser": MethodPolicy(Access.USER, _TENANT_ADMIN, _LONG, validation.erase_user),
        f"/{CACHE}/GetStats": MethodPolicy(Access.USER, "", _TIMEOUT),
    }


def embedding_policies() -> Mapping[str, MethodPolicy]:
    """Vectors are for services."""
    return {f"/{EMBEDDING}/Embed": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validation.embed)}
