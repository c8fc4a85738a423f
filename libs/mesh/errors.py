"""A peer's failure, read back into a typed error."""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as PackedDetail
from google.rpc import error_details_pb2

from libs.core.errors import Code, FieldViolation, MeshError, QuotaViolation, Reason
from libs.mesh.status import CODES, rich_status

Details = Iterable[PackedDetail]

# For peers that do not say why: C-core itself, proxies, services that are not ours.
_BY_CODE: Final[Mapping[Code, Reason]] = {
    Code.CANCELLED: Reason.CANCELLED,
    Code.INVALID_ARGUMENT: Reason.INVALID_FIELD,
    Code.DEADLINE_EXCEEDED: Reason.DEADLINE_TOO_SHORT,
    Code.NOT_FOUND: Reason.NOT_FOUND,
    Code.ALREADY_EXISTS: Reason.ALREADY_EXISTS,
    Code.PERMISSION_DENIED: Reason.MISSING_SCOPE,
    Code.RESOURCE_EXHAUSTED: Reason.OVERLOADED,
    Code.ABORTED: Reason.REQUEST_IN_PROGRESS,
    Code.UNIMPLEMENTED: Reason.UNIMPLEMENTED,
    Code.UNAVAILABLE: Reason.PEER_UNAVAILABLE,
    Code.UNAUTHENTICATED: Reason.INVALID_CREDENTIALS,
}


def decode(error: grpc.aio.AioRpcError, domain: str) -> MeshError:
    """The typed form of a failed call.

    Args:
        error: what the call raised.
        domain: the service that was called, for errors that do not name theirs.

    Returns:
        The reason that `ErrorInfo` names, or else the one nearest to the code. Text is taken over only from a
        peer that sent an `ErrorInfo` of our catalogue: what C-core says names addresses.
    """
    status = rich_status(error.trailing_metadata())
    info = _error_info(status.details)
    reason = Reason.__members__.get(info.reason) if info is not None else None
    if reason is None or info is None:
        reason = _BY_CODE.get(CODES[error.code()], Reason.INTERNAL)
        return MeshError(reason, retry_after=_retry_after(status.details), domain=domain)
    return MeshError(
        reason,
        status.message or error.details() or "",
        violations=_violations(status.details),
        quota=_quota(status.details),
        retry_after=_retry_after(status.details),
        domain=info.domain or domain,
    )


class typed_errors:  # noqa: N801 - reads as what it is: `with typed_errors("memory"):`
    """What the service `domain` answers to calls inside the block is raised as MeshError.

    A class and not a generator: several of these stand on the path of every turn.
    """

    __slots__ = ("_domain",)

    def __init__(self, domain: str) -> None:
        self._domain: Final = domain

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, grpc.aio.AioRpcError):
            raise decode(error, self._domain) from error


def _error_info(details: Details) -> error_details_pb2.ErrorInfo | None:
    info = error_details_pb2.ErrorInfo()
    return info if any(detail.Unpack(info) for detail in details) else None


def _retry_after(details: Details) -> float | None:
    retry = error_details_pb2.RetryInfo()
    if not any(detail.Unpack(retry) for detail in details):
        return None
    return float(retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)


def _violations(details: Details) -> list[FieldViolation]:
    bad = error_details_pb2.BadRequest()
    if not any(detail.Unpack(bad) for detail in details):
        return []
    return [FieldViolation(violation.field, violation.description) for violation in bad.field_violations]


def _quota(details: Details) -> list[QuotaViolation]:
    failure = error_details_pb2.QuotaFailure()
    if not any(detail.Unpack(failure) for detail in details):
        return []
    return [QuotaViolation(violation.subject, violation.description) for violation in failure.violations]
