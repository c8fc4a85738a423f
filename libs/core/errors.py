"""Typed errors and the one catalogue of reasons: what is raised here is what a client reads in `ErrorInfo`.

Servicers and domain code raise `MeshError` (or a subclass); one stage in libs.server turns it into a
`google.rpc.Status`, and libs.mesh turns a peer's status back into a `MeshError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

_MAX_VIOLATIONS: Final = 20
_MAX_TEXT: Final = 200


class Code(IntEnum):
    """The gRPC status codes, by their numbers on the wire; here so that domain code need not import grpc."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """How a reason looks from outside."""

    code: Code
    message: str
    """What a caller reads when the error brings no message of its own. Says what to do, reveals nothing internal."""


class Reason(Enum):
    """Every reason a call of ours can fail for; the name is `ErrorInfo.reason`."""

    # Bad input
    INVALID_FIELD = CatalogueEntry(Code.INVALID_ARGUMENT, "A field of the request is not valid.")
    INVALID_PAGE_TOKEN = CatalogueEntry(Code.INVALID_ARGUMENT, "page_token is not one that this method gave out.")
    UNKNOWN_MODEL = CatalogueEntry(Code.INVALID_ARGUMENT, "The model is not in the catalogue; ListModels names them.")
    REQUEST_ID_REUSED = CatalogueEntry(Code.INVALID_ARGUMENT, "request_id was used for a different request.")
    # Who and what
    MISSING_CREDENTIALS = CatalogueEntry(Code.UNAUTHENTICATED, "Send `authorization: Bearer <API key or token>`.")
    INVALID_CREDENTIALS = CatalogueEntry(Code.UNAUTHENTICATED, "The credentials are not valid.")
    REVOKED_CREDENTIALS = CatalogueEntry(Code.UNAUTHENTICATED, "The API key was revoked.")
    EXPIRED_CREDENTIALS = CatalogueEntry(Code.UNAUTHENTICATED, "The credentials have expired.")
    MISSING_SCOPE = CatalogueEntry(Code.PERMISSION_DENIED, "The credentials do not allow this.")
    TENANT_DISABLED = CatalogueEntry(Code.PERMISSION_DENIED, "The tenant is disabled.")
    NOT_FOUND = CatalogueEntry(Code.NOT_FOUND, "There is no such resource.")
    ALREADY_EXISTS = CatalogueEntry(Code.ALREADY_EXISTS, "The resource exists already.")
    # Limits and load
    RATE_LIMITED = CatalogueEntry(Code.RESOURCE_EXHAUSTED, "Too many requests; retry after the time given.")
    OVERLOADED = CatalogueEntry(Code.RESOURCE_EXHAUSTED, "The service is at its limit; retry after the time given.")
    MODEL_RATE_LIMITED = CatalogueEntry(Code.RESOURCE_EXHAUSTED, "The model provider's rate limit is reached.")
    SPEND_LIMIT_REACHED = CatalogueEntry(Code.FAILED_PRECONDITION, "The model provider's spend limit is reached.")
    CONTEXT_TOO_LONG = CatalogueEntry(Code.INVALID_ARGUMENT, "The prompt is longer than the model's context.")
    # State
    REQUEST_IN_PROGRESS = CatalogueEntry(Code.ABORTED, "The same request is still being worked on; retry later.")
    JOB_FINISHED = CatalogueEntry(Code.FAILED_PRECONDITION, "The job has finished and can no longer be cancelled.")
    DEADLINE_TOO_SHORT = CatalogueEntry(Code.DEADLINE_EXCEEDED, "The deadline passed before the work was done.")
    CANCELLED = CatalogueEntry(Code.CANCELLED, "The caller gave up.")
    # Dependencies
    STORE_UNAVAILABLE = CatalogueEntry(Code.UNAVAILABLE, "The data store cannot be reached; retry later.")
    PEER_UNAVAILABLE = CatalogueEntry(Code.UNAVAILABLE, "A service this call needs cannot be reached; retry later.")
    MODEL_UNAVAILABLE = CatalogueEntry(Code.UNAVAILABLE, "No model could answer; retry later.")
    MODEL_REFUSED_KEY = CatalogueEntry(Code.FAILED_PRECONDITION, "The model provider refused our credentials.")
    MODEL_STREAM_BROKEN = CatalogueEntry(Code.UNAVAILABLE, "The model's answer broke off; retry with the same id.")
    MODEL_BAD_RESPONSE = CatalogueEntry(Code.INTERNAL, "The model provider's answer could not be understood.")
    MODEL_REJECTED = CatalogueEntry(Code.INVALID_ARGUMENT, "The model provider rejected the request.")
    DRAINING = CatalogueEntry(Code.UNAVAILABLE, "This replica is shutting down; another one will answer.")
    INTERNAL = CatalogueEntry(Code.INTERNAL, "Something failed on our side; the trace id helps to find it.")
    UNIMPLEMENTED = CatalogueEntry(Code.UNIMPLEMENTED, "There is no such method.")

    @property
    def code(self) -> Code:
        """The status code that goes with this reason."""
        return self.value.code


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One fault of a request: which field (dotted path as in the proto) and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """Which limit was hit: `subject` such as `user:u1`, and a description with the limit in numbers."""

    subject: str
    description: str


class MeshError(Exception):
    """A failure with a reason from the catalogue. Safe to show: carries nothing internal.

    Attributes:
        reason: the catalogue's entry.
        message: what the caller reads.
        violations: the faulty fields, for INVALID_ARGUMENT.
        quota: the limits that were hit, for RESOURCE_EXHAUSTED.
        retry_after: seconds to wait before trying again, or None if retrying is pointless or unknown.
        domain: the service that failed; empty means the one that answers.
    """

    def __init__(
        self,
        reason: Reason,
        message: str = "",
        *,
        violations: Sequence[FieldViolation] = (),
        quota: Sequence[QuotaViolation] = (),
        retry_after: float | None = None,
        domain: str = "",
    ) -> None:
        self.reason: Final = reason
        self.message: Final = message or reason.value.message
        self.violations: Final = tuple(violations)
        self.quota: Final = tuple(quota)
        self.retry_after: Final = retry_after
        self.domain: Final = domain
        super().__init__(f"{reason.name}: {self.message}")

    @property
    def code(self) -> Code:
        """The gRPC status code."""
        return self.reason.code


def invalid(field: str, description: str) -> MeshError:
    """INVALID_ARGUMENT naming one field."""
    return invalid_fields([FieldViolation(field, description)])


def invalid_fields(violations: Sequence[FieldViolation]) -> MeshError:
    """INVALID_ARGUMENT naming every faulty field at once; of very many the first 20, as errors travel in headers."""
    named = [
        FieldViolation(_cut(violation.field), _cut(violation.description)) for violation in violations[:_MAX_VIOLATIONS]
    ]
    faults = [f"{violation.field}: {violation.description}" for violation in named]
    if len(violations) > len(named):
        faults.append(f"... and {len(violations) - len(named)} more")
    return MeshError(Reason.INVALID_FIELD, "; ".join(faults), violations=named)


def not_found(what: str) -> MeshError:
    """NOT_FOUND; the same whether the resource is missing or another tenant's."""
    return MeshError(Reason.NOT_FOUND, f"There is no such {what}.")


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."
