"""What a request must look like. Every fault of a request is named at once."""

import re
from collections.abc import Iterable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.auth.v1 import auth_pb2 as pb
from libs.core.errors import FieldViolation, invalid_fields
from libs.core.ids import is_uuid
from services.auth import scopes
from services.auth.keys import is_key_id, is_tenant_id
from services.auth.limits import MAX_PER_MINUTE

_MAX_CREDENTIAL: Final = 8_192
_MAX_LIFETIME_SECONDS: Final = 86_400
_MAX_LIMITED_METHODS: Final = 100
_MAX_NAME: Final = 100
_MAX_PAGE: Final = 1_000
_MAX_PAGE_TOKEN: Final = 200
_MAX_USER_ID: Final = 128
_MAX_WANTED_CALLS: Final = 100
_MAX_TIMESTAMP_SECONDS: Final = 253_402_300_799
_METHOD: Final = re.compile(r"/[A-Za-z][\w.]{0,149}/[A-Za-z]\w{0,99}", re.ASCII)
_SERVICE: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class Faults:
    """Collects what is wrong with one request."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: Final[list[FieldViolation]] = []

    def unless(self, holds: bool, field: str, description: str) -> None:
        """A fault if `holds` is false."""
        if not holds:
            self._found.append(FieldViolation(field, description))

    def text(self, text: str, field: str, least: int, most: int) -> None:
        """A fault unless `text` is printable and has between `least` and `most` characters."""
        self.unless(least <= len(text) <= most, field, f"must have {least} to {most} characters")
        self.unless(text.isprintable(), field, "must not contain control characters")

    def request_id(self, request_id: str) -> None:
        """A fault unless it is a UUID."""
        self.unless(is_uuid(request_id), "request_id", "must be a UUID")

    def refuse(self) -> None:
        """INVALID_ARGUMENT if there is any fault."""
        if self._found:
            raise invalid_fields(self._found)


def authorize(request: pb.AuthorizeRequest) -> None:
    """Checks AuthorizeRequest. A missing credential is no fault of form: it is answered UNAUTHENTICATED."""
    faults = Faults()
    faults.unless(len(request.credential) <= _MAX_CREDENTIAL, "credential", _at_most(_MAX_CREDENTIAL))
    faults.unless(_METHOD.fullmatch(request.method) is not None, "method", "must look like /package.Service/Method")
    faults.unless(
        0 <= request.wanted_calls <= _MAX_WANTED_CALLS, "wanted_calls", f"must be between 0 and {_MAX_WANTED_CALLS}"
    )
    faults.refuse()


def issue_token(request: pb.IssueTokenRequest) -> None:
    """Checks IssueTokenRequest."""
    faults = Faults()
    which = request.WhichOneof("credential")
    faults.unless(which is not None, "credential", "must be an api_key or a service credential")
    faults.unless(len(request.api_key) <= _MAX_CREDENTIAL, "api_key", _at_most(_MAX_CREDENTIAL))
    if which == "service":
        _service_credential(faults, request.service)
        faults.unless(not request.user_id, "user_id", "goes with an api_key; a service says on_behalf_of")
    faults.text(request.user_id, "user_id", 0, _MAX_USER_ID)
    lifetime = request.lifetime_seconds
    faults.unless(
        0 <= lifetime <= _MAX_LIFETIME_SECONDS, "lifetime_seconds", f"must be between 0 and {_MAX_LIFETIME_SECONDS}"
    )
    faults.refuse()


def create_tenant(request: pb.CreateTenantRequest) -> None:
    """Checks CreateTenantRequest."""
    faults = Faults()
    faults.request_id(request.request_id)
    faults.text(request.display_name, "display_name", 1, _MAX_NAME)
    limits = request.rate_limits
    _limit(faults, limits.tenant_per_minute, "rate_limits.tenant_per_minute", 0)
    _limit(faults, limits.user_per_minute, "rate_limits.user_per_minute", 0)
    field = "rate_limits.method_per_minute"
    faults.unless(
        len(limits.method_per_minute) <= _MAX_LIMITED_METHODS, field, f"must have at most {_MAX_LIMITED_METHODS}"
    )
    for method, per_minute in sorted(limits.method_per_minute.items()):
        faults.unless(_METHOD.fullmatch(method) is not None, field, "its keys must look like /package.Service/Method")
        _limit(faults, per_minute, field, 1)
    faults.refuse()


def get_tenant(request: pb.GetTenantRequest) -> None:
    """Checks GetTenantRequest."""
    faults = Faults()
    _tenant_id(faults, request.tenant_id)
    faults.refuse()


def create_api_key(request: pb.CreateApiKeyRequest) -> None:
    """Checks CreateApiKeyRequest."""
    faults = Faults()
    faults.request_id(request.request_id)
    _tenant_id(faults, request.tenant_id)
    faults.text(request.user_id, "user_id", 0, _MAX_USER_ID)
    faults.text(request.display_name, "display_name", 0, _MAX_NAME)
    _scopes(faults, request.scopes, "scopes", scopes.GRANTABLE)
    faults.unless(
        not request.HasField("expire_time") or _is_instant(request.expire_time),
        "expire_time",
        "must be an instant between 1970 and 9999",
    )
    faults.refuse()


def list_api_keys(request: pb.ListApiKeysRequest) -> None:
    """Checks ListApiKeysRequest."""
    faults = Faults()
    _tenant_id(faults, request.tenant_id)
    faults.unless(0 <= request.page_size <= _MAX_PAGE, "page_size", f"must be between 0 and {_MAX_PAGE}")
    faults.unless(len(request.page_token) <= _MAX_PAGE_TOKEN, "page_token", _at_most(_MAX_PAGE_TOKEN))
    faults.refuse()


def revoke_api_key(request: pb.RevokeApiKeyRequest) -> None:
    """Checks RevokeApiKeyRequest."""
    faults = Faults()
    faults.request_id(request.request_id)
    faults.unless(is_key_id(request.key_id), "key_id", "must be the id of an API key (18 characters)")
    faults.refuse()


def _service_credential(faults: Faults, credential: pb.ServiceCredential) -> None:
    faults.unless(_SERVICE.fullmatch(credential.service) is not None, "service.service", "must be a service's name")
    faults.unless(len(credential.secret) <= _MAX_CREDENTIAL, "service.secret", _at_most(_MAX_CREDENTIAL))
    if credential.HasField("on_behalf_of"):
        principal, field = credential.on_behalf_of, "service.on_behalf_of"
        known = is_tenant_id(principal.tenant_id) or principal.tenant_id in (scopes.ROOT_TENANT, scopes.SYSTEM_TENANT)
        faults.unless(known, f"{field}.tenant_id", "must be a tenant's id")
        faults.text(principal.user_id, f"{field}.user_id", 0, _MAX_USER_ID)
        _scopes(faults, principal.scopes, f"{field}.scopes", scopes.GRANTABLE | {scopes.INTERNAL})
        faults.unless(
            not principal.key_id or is_key_id(principal.key_id), f"{field}.key_id", "must be the id of an API key"
        )


def _tenant_id(faults: Faults, tenant_id: str) -> None:
    faults.unless(is_tenant_id(tenant_id), "tenant_id", "must be the id of a tenant (10 characters)")


def _scopes(faults: Faults, given: Iterable[str], field: str, known: frozenset[str]) -> None:
    unknown = [scope for scope in given if scope not in known]
    faults.unless(not unknown, field, f"must be among {', '.join(sorted(known))}")


def _limit(faults: Faults, per_minute: int, field: str, least: int) -> None:
    faults.unless(least <= per_minute <= MAX_PER_MINUTE, field, f"must be between {least} and {MAX_PER_MINUTE}")


def _is_instant(time: Timestamp) -> bool:
    return 0 <= time.seconds <= _MAX_TIMESTAMP_SECONDS and 0 <= time.nanos < 1_000_000_000 and time.ToMilliseconds() > 0


def _at_most(characters: int) -> str:
    return f"must have at most {characters} characters"
