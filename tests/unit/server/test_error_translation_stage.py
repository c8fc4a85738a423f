import asyncio
import string
from urllib.parse import quote

import grpc
import pytest
import structlog.testing
from google.rpc.error_details_pb2 import BadRequest, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from libs.core.errors import FieldViolation, MeshError, QuotaViolation, Reason, invalid_fields
from libs.server.rich_status import encode, message, trailing_metadata
from libs.testing.grpc_context import FakeServicerContext
from tests.unit.server.fakes import Harness, error_info, sent_status

PARENT = f"00-{'a' * 32}-{'b' * 16}-00"


async def failing_with(error: BaseException) -> Status:
    async def handler(request: object, context: FakeServicerContext) -> object:
        raise error

    context = FakeServicerContext([("traceparent", PARENT)])
    with pytest.raises(grpc.aio.AbortError):
        await Harness().unary(handler)(None, context)
    return sent_status(context)


async def test_a_typed_error_names_reason_service_and_trace() -> None:
    info = error_info(await failing_with(MeshError(Reason.STORE_UNAVAILABLE)))

    assert (info.reason, info.domain) == ("STORE_UNAVAILABLE", "test")
    assert info.metadata["trace_id"] == "a" * 32


async def test_bad_input_names_every_field() -> None:
    violations = [FieldViolation("a", "is empty"), FieldViolation("b.c", "is negative")]

    status = await failing_with(invalid_fields(violations))

    detail = BadRequest()
    assert any(packed.Unpack(detail) for packed in status.details)
    assert [violation.field for violation in detail.field_violations] == ["a", "b.c"]
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_a_limit_says_which_and_for_how_long() -> None:
    error = MeshError(Reason.RATE_LIMITED, quota=[QuotaViolation("user:u1", "60 a minute")], retry_after=1.5)

    status = await failing_with(error)

    retry, quota = RetryInfo(), QuotaFailure()
    assert any(packed.Unpack(retry) for packed in status.details)
    assert any(packed.Unpack(quota) for packed in status.details)
    assert retry.retry_delay.ToMilliseconds() == 1500
    assert quota.violations[0].subject == "user:u1"


async def test_what_nobody_foresaw_tells_the_caller_nothing_and_the_log_everything() -> None:
    with structlog.testing.capture_logs() as logged:
        status = await failing_with(KeyError("password=hunter2"))

    assert error_info(status).reason == "INTERNAL"
    assert "hunter2" not in status.SerializeToString().decode("latin-1")
    (line,) = [entry for entry in logged if entry["event"] == "rpc.failed"]
    assert isinstance(line["exc_info"], KeyError)
    assert line["trace_id"] == "a" * 32


async def test_a_method_that_is_not_there_is_unimplemented() -> None:
    assert error_info(await failing_with(NotImplementedError())).reason == "UNIMPLEMENTED"


async def test_a_peers_typed_error_passes_through_with_its_domain() -> None:
    original = MeshError(Reason.RATE_LIMITED, "60 a minute", retry_after=3.0)
    trailing = grpc.aio.Metadata(*trailing_metadata(original, "auth"))
    peer = grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), trailing, "60 a minute")

    status = await failing_with(peer)

    info = error_info(status)
    assert (info.reason, info.domain) == ("RATE_LIMITED", "auth")
    assert status.message == "60 a minute"


async def test_a_peer_that_cannot_be_reached_reveals_no_address() -> None:
    text = "connections to all backends failing; 10.0.0.7:50051"
    peer = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), text)

    status = await failing_with(peer)

    assert error_info(status).reason == "PEER_UNAVAILABLE"
    assert "10.0.0.7" not in status.message


async def test_cancellation_goes_on_upwards() -> None:
    async def handler(request: object, context: FakeServicerContext) -> object:
        raise asyncio.CancelledError

    context = FakeServicerContext(timeout=5.0)
    with pytest.raises(asyncio.CancelledError):
        await Harness().unary(handler)(None, context)
    assert context.aborted_with is None


@pytest.mark.parametrize(("passed", "status"), [(1.0, "CANCELLED"), (6.0, "DEADLINE_EXCEEDED")])
async def test_a_cancellation_is_counted_by_its_cause(passed: float, status: str) -> None:
    harness = Harness()

    async def handler(request: object, context: FakeServicerContext) -> object:
        harness.clock.advance(passed)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await harness.unary(handler)(None, FakeServicerContext(timeout=5.0))

    assert f'grpc_status="{status}"' in harness.telemetry.metrics.exposition().decode()


async def test_an_abort_by_the_servicer_itself_is_left_alone() -> None:
    async def handler(request: object, context: FakeServicerContext) -> object:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")

    harness, context = Harness(), FakeServicerContext()
    with pytest.raises(grpc.aio.AbortError):
        await harness.unary(handler)(None, context)

    assert context.aborted_with == (grpc.StatusCode.NOT_FOUND, "no such service", ())
    assert 'grpc_status="NOT_FOUND"' in harness.telemetry.metrics.exposition().decode()


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_encodes_to_its_own_code(reason: Reason) -> None:
    status = encode(MeshError(reason), "test")

    assert status.code == reason.code
    assert error_info(status).reason == reason.name


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN])
async def test_a_peers_verdict_on_our_own_call_is_not_the_callers(code: grpc.StatusCode) -> None:
    trailing = grpc.aio.Metadata(*trailing_metadata(MeshError(Reason.EXPIRED_CREDENTIALS), "auth"))
    with structlog.testing.capture_logs() as logged:
        status = await failing_with(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing))

    info = error_info(status)
    assert (info.reason, info.domain) == ("INTERNAL", "test")
    (line,) = [entry for entry in logged if entry["event"] == "rpc.failed"]
    assert line["peer_code"] == code.name


@pytest.mark.parametrize("character", ["x", "\u00e4", "\U0001f600"])
async def test_an_error_always_fits_into_the_headers(character: str) -> None:
    violations = [FieldViolation("field" * 40, character * 1000) for _ in range(100)]
    quota = [QuotaViolation("user", character * 10_000)]
    for error in (
        invalid_fields(violations),
        MeshError(Reason.INTERNAL, character * 10_000),
        MeshError(Reason.RATE_LIMITED, quota=quota, retry_after=1.0),
    ):
        ((_, raw),) = trailing_metadata(error, "test")
        assert len(raw) + len(quote(message(error), safe=string.printable)) < 8_000
        assert error_info(Status.FromString(raw)).reason == error.reason.name


def test_the_usual_advice_survives_beside_what_is_too_long() -> None:
    error = MeshError(Reason.RATE_LIMITED, quota=[QuotaViolation("user", "x" * 10_000)], retry_after=1.0)

    status = encode(error, "test")

    assert any(packed.Is(RetryInfo.DESCRIPTOR) for packed in status.details)
    assert not any(packed.Is(QuotaFailure.DESCRIPTOR) for packed in status.details)
