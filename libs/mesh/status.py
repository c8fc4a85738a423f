"""Between grpc's status objects and our codes, and what a finished call says without being awaited."""

from collections.abc import Coroutine, Mapping
from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from libs.core.errors import Code, Reason
from libs.mesh.retry import Failure

T = TypeVar("T")

CODES: Final[Mapping[grpc.StatusCode, Code]] = {code: Code(code.value[0]) for code in grpc.StatusCode}
STATUS_CODES: Final[Mapping[Code, grpc.StatusCode]] = {ours: theirs for theirs, ours in CODES.items()}
DETAILS_KEY: Final = "grpc-status-details-bin"
_PUSHBACK_KEY: Final = "grpc-retry-pushback-ms"


def finished_code(call: grpc.aio.Call) -> grpc.StatusCode:
    """The code of a call that is done: `code()` is a coroutine, but then has nothing to wait for."""
    return _run(call.code())


def finished_failure(call: grpc.aio.Call, code: grpc.StatusCode) -> Failure:
    """How a call that is done failed."""
    metadata = _run(call.trailing_metadata())
    pushback = metadata.get(_PUSHBACK_KEY)
    details = rich_status(metadata)
    return Failure(
        code=CODES[code],
        pushback=pushback if isinstance(pushback, str) or pushback is None else pushback.decode("ascii", "replace"),
        handed_back=any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details.details),
    )


def rich_status(metadata: grpc.aio.Metadata | None) -> status_pb2.Status:
    """The `google.rpc.Status` in trailing metadata; an empty one if there is none that can be read."""
    raw = metadata.get(DETAILS_KEY) if metadata is not None else None
    if isinstance(raw, bytes):
        try:
            return status_pb2.Status.FromString(raw)
        except DecodeError:
            pass  # Some other server's idea of this key: the plain code still holds.
    return status_pb2.Status()


def local_error(code: Code, details: str) -> grpc.aio.AioRpcError:
    """The failure of a call that never left this process."""
    return grpc.aio.AioRpcError(STATUS_CODES[code], grpc.aio.Metadata(), grpc.aio.Metadata(), details, details)


def overloaded(details: str, retry_after: float) -> grpc.aio.AioRpcError:
    """RESOURCE_EXHAUSTED for a call that was not sent, in the form in which a server of ours says OVERLOADED.

    Args:
        details: why it was not sent.
        retry_after: seconds after which the caller may come back.
    """
    info = error_details_pb2.ErrorInfo(reason=Reason.OVERLOADED.name, domain="mesh")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromNanoseconds(int(retry_after * 1e9))
    status = status_pb2.Status(code=Code.RESOURCE_EXHAUSTED.value, message=details)
    for detail in (info, retry):
        status.details.add().Pack(detail)
    trailing = grpc.aio.Metadata((DETAILS_KEY, status.SerializeToString()))
    return grpc.aio.AioRpcError(
        grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), trailing, details, f"not sent: {details}"
    )


def _run(coroutine: Coroutine[object, None, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as finished:
        value: T = finished.value
        return value
    coroutine.close()
    raise RuntimeError("the call is not finished")
