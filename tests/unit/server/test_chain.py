from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import grpc
import pytest

from libs.server.chain import ORDER, MethodHandler, compose
from libs.testing.grpc_context import FakeServicerContext
from tests.unit.server.fakes import METHOD, PUBLIC, Harness, error_info, sent_status


async def streamed(handler: MethodHandler, context: FakeServicerContext) -> None:
    # gRPC types behaviours as synchronous.
    behaviour = cast("Callable[[object, FakeServicerContext], Awaitable[object]]", handler.unary_stream)
    await behaviour(None, context)


def test_the_order_is_the_one_that_was_decided() -> None:
    assert [stage.__name__ for stage in ORDER] == [
        "TelemetryStage",
        "RequestContextStage",
        "ErrorTranslationStage",
        "AdmissionStage",
        "AuthenticationStage",
        "ValidationStage",
    ]


def test_a_server_has_one_stage_of_each_kind_in_that_order() -> None:
    assert [type(stage) for stage in Harness().chain] == list(ORDER)


async def test_an_asynchronous_generator_writes_its_messages() -> None:
    async def counts(request: object, context: FakeServicerContext) -> AsyncIterator[object]:
        for number in range(3):
            yield number

    handler = compose(Harness().chain, METHOD, PUBLIC, grpc.unary_stream_rpc_method_handler(counts))
    context = FakeServicerContext()

    await streamed(handler, context)

    assert context.written == [0, 1, 2]


async def test_a_stream_that_fails_half_way_ends_with_a_status_and_closes_the_generator() -> None:
    closed = False

    async def breaks(request: object, context: FakeServicerContext) -> AsyncIterator[object]:
        nonlocal closed
        try:
            yield 1
            raise ZeroDivisionError
        finally:
            closed = True

    handler = compose(Harness().chain, METHOD, PUBLIC, grpc.unary_stream_rpc_method_handler(breaks))
    context = FakeServicerContext()

    with pytest.raises(grpc.aio.AbortError):
        await streamed(handler, context)

    assert context.written == [1]
    assert closed
    assert error_info(sent_status(context)).reason == "INTERNAL"


@pytest.mark.parametrize(("requests", "responses"), [(False, False), (False, True), (True, False), (True, True)])
def test_the_arity_and_the_codecs_of_a_method_stay(requests: bool, responses: bool) -> None:
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[requests, responses]

    async def behaviour(request: object, context: FakeServicerContext) -> object:
        return request

    wrapped = compose(Harness().chain, METHOD, PUBLIC, make(behaviour, _decode, _encode))

    assert (wrapped.request_streaming, wrapped.response_streaming) == (requests, responses)
    assert wrapped.request_deserializer is _decode
    assert wrapped.response_serializer is _encode


def _decode(raw: bytes) -> object:
    return raw


def _encode(message: object) -> bytes:
    return bytes(str(message), "utf-8")
