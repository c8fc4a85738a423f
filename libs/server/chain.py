"""The stages composed around handlers: once per method, when it is registered, not once per call."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isasyncgenfunction
from typing import Final, TypeAlias, cast

import grpc

from libs.core.clock import Clock
from libs.server.call import Call, Proceed, ServicerContext, Stage
from libs.server.spec import Authenticator, MethodPolicy
from libs.server.stages.admission import AdmissionStage
from libs.server.stages.authentication import AuthenticationStage
from libs.server.stages.error_translation import ErrorTranslationStage
from libs.server.stages.request_context import RequestContextStage
from libs.server.stages.telemetry import TelemetryStage
from libs.server.stages.validation import ValidationStage
from libs.telemetry.telemetry import Telemetry

ORDER: Final = (
    TelemetryStage,  # first in, last out: measures refusals too
    RequestContextStage,  # before errors, whose log line and status name the trace
    ErrorTranslationStage,  # around all that may fail
    AdmissionStage,  # before authentication: a full replica must not spend signatures on saying no
    AuthenticationStage,  # before validation: strangers learn nothing about requests
    ValidationStage,
)
"""The stages from the outside in; each position has its reason."""

MethodHandler: TypeAlias = "grpc.RpcMethodHandler[object, object]"
Behaviour = Callable[[object, ServicerContext], Awaitable[object]]
StreamBehaviour = Callable[[object, ServicerContext], AsyncGenerator[object, None]]


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """What the stages of one server need."""

    service: str
    telemetry: Telemetry
    clock: Clock
    authenticator: Authenticator
    max_concurrent_calls: int


def stages(options: ChainOptions) -> tuple[Stage, ...]:
    """One stage of each kind, in `ORDER`."""
    return (
        TelemetryStage(options.telemetry, options.clock),
        RequestContextStage(options.clock),
        ErrorTranslationStage(options.service, options.telemetry.log),
        AdmissionStage(options.max_concurrent_calls, options.telemetry.metrics),
        AuthenticationStage(options.authenticator),
        ValidationStage(),
    )


def compose(chain: Sequence[Stage], method: str, policy: MethodPolicy, handler: MethodHandler) -> MethodHandler:
    """`handler` with the chain around it, for gRPC to call."""
    proceed = _innermost(handler)
    for stage in reversed(chain):
        proceed = stage.wrap(method, policy, proceed)

    async def serve(request: object, servicer_context: ServicerContext) -> object:
        return await proceed(Call(servicer_context), request)

    make = _MAKERS[handler.request_streaming, handler.response_streaming]
    return make(serve, handler.request_deserializer, handler.response_serializer)


def _innermost(handler: MethodHandler) -> Proceed:
    """The handler as the stages call it: whatever its arity, one awaitable."""
    behaviour = _behaviour(handler)
    if isasyncgenfunction(behaviour):
        return _drained(cast("StreamBehaviour", behaviour))

    def called(call: Call, request: object) -> Awaitable[object]:
        return behaviour(request, call.servicer_context)

    return called


def _drained(behaviour: StreamBehaviour) -> Proceed:
    # Writing to the context instead of yielding lets every stage see a stream as one awaitable, like any call.
    async def written(call: Call, request: object) -> object:
        write = call.servicer_context.write
        async with aclosing(behaviour(request, call.servicer_context)) as messages:
            async for message in messages:
                await write(message)
        return None

    return written


def _behaviour(handler: MethodHandler) -> Behaviour:
    found = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    if found is None:
        raise ValueError("a method handler without a behaviour")
    # gRPC types handlers as synchronous; on an aio server they are coroutine functions or asynchronous generators.
    return cast("Behaviour", found)


_MAKERS: Final[Mapping[tuple[bool, bool], Callable[..., MethodHandler]]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
