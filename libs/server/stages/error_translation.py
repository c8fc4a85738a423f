"""Third: the one place where exceptions become statuses. Nothing below it talks gRPC about errors."""

import asyncio
from typing import Final, cast

import grpc

from libs.core.errors import Code, MeshError, Reason
from libs.mesh.errors import decode
from libs.mesh.status import STATUS_CODES
from libs.server.call import Call, Proceed
from libs.server.rich_status import message, trailing_metadata
from libs.server.spec import MethodPolicy
from libs.telemetry.logs import Logger

# What a peer's failure may mean to our own caller. Any other code is about the call that we made, not about theirs:
# a peer's UNAUTHENTICATED says nothing about the caller's credentials.
_PASSED_ON: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.RESOURCE_EXHAUSTED})


class ErrorTranslationStage:
    """Turns typed errors into `google.rpc.Status`, and everything unforeseen into INTERNAL.

    Args:
        service: the domain of errors that bring none.
        log: where unforeseen exceptions go, with their traceback; the caller sees nothing of them.
    """

    def __init__(self, service: str, log: Logger) -> None:
        self._service = service
        self._log = log

    def wrap(self, method: str, policy: MethodPolicy, proceed: Proceed) -> Proceed:  # noqa: ARG002 - all methods alike
        """Every method's errors are translated."""

        async def translated(call: Call, request: object) -> object:
            try:
                return await proceed(call, request)
            except asyncio.CancelledError:
                call.code = _cancellation(call)
                raise
            except grpc.aio.AbortError:
                # A servicer of somebody else's (health, reflection) has sent its own status.
                call.code = _sent_code(call)
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: beyond it only statuses exist
                failure = self._typed(method, call, error)
            call.code = failure.code
            call.reason = failure.reason.name
            details = trailing_metadata(failure, self._service, call.traceparent)
            return await call.servicer_context.abort(STATUS_CODES[failure.code], message(failure), details)

        return translated

    def _typed(self, method: str, call: Call, error: Exception) -> MeshError:
        match error:
            case MeshError():
                failure = error
            case grpc.aio.AioRpcError():
                failure = _passed_on(error)
            case NotImplementedError():
                failure = MeshError(Reason.UNIMPLEMENTED)
            case _:
                failure = MeshError(Reason.INTERNAL)
        if failure.code is Code.INTERNAL:
            peer = {"peer_code": error.code().name} if isinstance(error, grpc.aio.AioRpcError) else {}
            self._log.error("rpc.failed", method=method, trace_id=call.traceparent[3:35], exc_info=error, **peer)
        return failure


def _cancellation(call: Call) -> Code:
    context = call.request_context
    return Code.DEADLINE_EXCEEDED if context is not None and context.deadline.expired else Code.CANCELLED


def _sent_code(call: Call) -> Code:
    # gRPC's types say StatusCode; the aio server returns its number.
    code = cast("int | grpc.StatusCode", call.servicer_context.code())
    return Code(code if isinstance(code, int) else code.value[0])


def _passed_on(error: grpc.aio.AioRpcError) -> MeshError:
    failure = decode(error, "")
    return failure if failure.code in _PASSED_ON else MeshError(Reason.INTERNAL)
