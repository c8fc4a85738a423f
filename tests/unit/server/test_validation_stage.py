import grpc
import pytest

from libs.core.errors import invalid
from libs.server.spec import Access, MethodPolicy
from libs.testing.grpc_context import FakeServicerContext
from tests.unit.server.fakes import Harness, error_info, sent_status


def check(request: str) -> None:
    if not request:
        raise invalid("text", "is empty")


async def test_bad_input_never_reaches_the_handler() -> None:
    reached: list[object] = []

    async def handler(request: object, context: FakeServicerContext) -> object:
        reached.append(request)
        return request

    serve = Harness().unary(handler, MethodPolicy(Access.PUBLIC, validate=check))
    context = FakeServicerContext()
    with pytest.raises(grpc.aio.AbortError):
        await serve("", context)
    await serve("fine", FakeServicerContext())

    assert error_info(sent_status(context)).reason == "INVALID_FIELD"
    assert reached == ["fine"]


async def test_strangers_learn_nothing_about_their_input() -> None:
    async def handler(request: object, context: FakeServicerContext) -> object:
        return request

    context = FakeServicerContext()
    with pytest.raises(grpc.aio.AbortError):
        await Harness().unary(handler, MethodPolicy(Access.USER, validate=check))("", context)

    assert error_info(sent_status(context)).reason == "MISSING_CREDENTIALS"
