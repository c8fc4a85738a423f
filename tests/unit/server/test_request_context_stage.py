from libs.core import context
from libs.core.context import RequestContext
from libs.server.spec import Access, MethodPolicy
from libs.testing.grpc_context import FakeServicerContext
from tests.unit.server.fakes import USER, Harness, bearer

PARENT = f"00-{'a' * 32}-{'b' * 16}-00"


async def seen_by_handler(policy: MethodPolicy, servicer_context: FakeServicerContext) -> RequestContext:
    async def handler(request: object, servicer_context: FakeServicerContext) -> object:
        return context.require()

    seen = await Harness().unary(handler, policy)(None, servicer_context)
    assert isinstance(seen, RequestContext)
    return seen


async def test_the_clients_deadline_is_the_requests() -> None:
    seen = await seen_by_handler(MethodPolicy(Access.PUBLIC), FakeServicerContext(timeout=2.5))

    assert seen.deadline.remaining() == 2.5


async def test_without_one_the_method_has_its_own() -> None:
    seen = await seen_by_handler(MethodPolicy(Access.PUBLIC, default_timeout=7.0), FakeServicerContext())

    assert seen.deadline.remaining() == 7.0


async def test_the_handler_sees_who_calls_and_what_goes_on_to_peers() -> None:
    metadata = [*bearer("user"), ("traceparent", PARENT)]

    seen = await seen_by_handler(MethodPolicy(Access.USER), FakeServicerContext(metadata))

    assert seen.principal == USER
    assert seen.token == "internal-user"
    assert seen.trace_id == "a" * 32


async def test_a_public_method_knows_nobody() -> None:
    seen = await seen_by_handler(MethodPolicy(Access.PUBLIC), FakeServicerContext(bearer("user")))

    assert seen.principal is None
    assert seen.token == ""
