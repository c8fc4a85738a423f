"""`google.rpc.Status` from a typed error: exactly one ErrorInfo, and what else helps the caller."""

from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from libs.core.errors import MeshError

DETAILS_KEY: Final = "grpc-status-details-bin"


def encode(error: MeshError, service: str, traceparent: str = "") -> Status:
    """The status that tells a caller all that `error` says.

    Args:
        error: what failed.
        service: the domain if the error brings none, that is, if it is our own.
        traceparent: the trace in which it happened; its id goes into ErrorInfo's metadata.
    """
    info = ErrorInfo(reason=error.reason.name, domain=error.domain or service)
    if traceparent:
        info.metadata["trace_id"] = traceparent[3:35]
    status = Status(code=error.code, message=error.message)
    for detail in (info, *_advice(error)):
        status.details.add().Pack(detail)
    return status


def trailing_metadata(error: MeshError, service: str, traceparent: str = "") -> tuple[tuple[str, bytes], ...]:
    """The status as gRPC carries it beside its own code and message."""
    return ((DETAILS_KEY, encode(error, service, traceparent).SerializeToString()),)


def _advice(error: MeshError) -> list[Message]:
    details: list[Message] = []
    if error.violations:
        violations = [
            BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in error.violations
        ]
        details.append(BadRequest(field_violations=violations))
    if error.quota:
        limits = [QuotaFailure.Violation(subject=limit.subject, description=limit.description) for limit in error.quota]
        details.append(QuotaFailure(violations=limits))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(RetryInfo(retry_delay=delay))
    return details
