"""`google.rpc.Status` from a typed error: exactly one ErrorInfo, and what else helps the caller."""

from typing import Final

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from libs.core.errors import MeshError
from libs.mesh.status import DETAILS_KEY

# gRPC peers accept 8 KiB of headers by default, and turn any answer with more into RESOURCE_EXHAUSTED.
_MAX_MESSAGE_BYTES: Final = 1_200
_MAX_STATUS_BYTES: Final = 6_000
_BYTES_PER_CHARACTER: Final = 12  # at most: four bytes of UTF-8, percent-encoded


def encode(error: MeshError, service: str, traceparent: str = "") -> Status:
    """The status that tells a caller all that `error` says, as far as it fits into a header.

    Args:
        error: what failed.
        service: the domain if the error brings none, that is, if it is our own.
        traceparent: the trace in which it happened; its id goes into ErrorInfo's metadata.
    """
    info = ErrorInfo(reason=error.reason.name, domain=error.domain or service)
    if traceparent:
        info.metadata["trace_id"] = traceparent[3:35]
    status = Status(code=error.code, message=message(error))
    status.details.add().Pack(info)
    left = _MAX_STATUS_BYTES - status.ByteSize()
    for detail in _advice(error):
        packed = Any()
        packed.Pack(detail)
        if packed.ByteSize() <= left:
            left -= packed.ByteSize()
            status.details.append(packed)
    return status


def message(error: MeshError) -> str:
    """The error's text, cut to what fits into a header."""
    text = error.message
    if len(text) * _BYTES_PER_CHARACTER <= _MAX_MESSAGE_BYTES:
        return text
    size = 0
    for end, character in enumerate(text):
        size += 1 if character.isascii() else 3 * len(character.encode())
        if size > _MAX_MESSAGE_BYTES:
            return f"{text[:end]}..."
    return text


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
