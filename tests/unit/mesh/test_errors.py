import grpc
from google.protobuf.any_pb2 import Any as PackedDetail
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from libs.core.errors import FieldViolation, QuotaViolation, Reason
from libs.mesh.errors import decode


def failed(code: grpc.StatusCode, *details: Message, message: str = "said", raw: bytes = b"") -> grpc.aio.AioRpcError:
    packed = []
    for detail in details:
        packed.append(PackedDetail())
        packed[-1].Pack(detail)
    status = status_pb2.Status(code=code.value[0], message=message, details=packed)
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", raw or status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, message)


def test_reads_bad_request() -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="page_size", description="too large")
    error = decode(
        failed(
            grpc.StatusCode.INVALID_ARGUMENT,
            error_details_pb2.ErrorInfo(reason="INVALID_FIELD", domain="memory"),
            error_details_pb2.BadRequest(field_violations=[violation]),
        ),
        "auth",
    )
    assert error.reason is Reason.INVALID_FIELD
    assert error.violations == (FieldViolation("page_size", "too large"),)
    assert (error.domain, error.message) == ("memory", "said")


def test_reads_quota_and_retry() -> None:
    violation = error_details_pb2.QuotaFailure.Violation(subject="user:u1", description="60 per minute")
    error = decode(
        failed(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            error_details_pb2.ErrorInfo(reason="RATE_LIMITED"),
            error_details_pb2.QuotaFailure(violations=[violation]),
            error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
        ),
        "auth",
    )
    assert error.reason is Reason.RATE_LIMITED
    assert error.quota == (QuotaViolation("user:u1", "60 per minute"),)
    assert error.retry_after == 1.5
    assert error.domain == "auth"


def test_an_unknown_reason_falls_back_to_the_code() -> None:
    error = decode(failed(grpc.StatusCode.NOT_FOUND, error_details_pb2.ErrorInfo(reason="FROM_THE_FUTURE")), "auth")
    assert error.reason is Reason.NOT_FOUND


def test_text_that_is_not_ours_is_not_passed_on() -> None:
    message = "failed to connect to all addresses; last error: ipv4:10.0.0.1:50051"
    error = decode(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, details=message), "auth")
    assert error.reason is Reason.PEER_UNAVAILABLE
    assert "10.0.0.1" not in error.message


def test_unreadable_details_are_no_details() -> None:
    error = decode(failed(grpc.StatusCode.DATA_LOSS, raw=b"\xff\xff"), "auth")
    assert error.reason is Reason.INTERNAL


def test_every_code_has_a_reason() -> None:
    for code in grpc.StatusCode:
        assert decode(grpc.aio.AioRpcError(code), "auth").reason
