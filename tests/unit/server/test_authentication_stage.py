import grpc
import pytest

from libs.server.spec import Access, MethodPolicy
from libs.testing.grpc_context import FakeServicerContext, Metadata
from tests.unit.server.fakes import Harness, bearer, echo, error_info, sent_status


async def outcome(policy: MethodPolicy, metadata: Metadata) -> str:
    """OK, or the reason of the refusal."""
    context = FakeServicerContext(metadata, timeout=1.0)
    try:
        await Harness().unary(echo, policy)("request", context)
    except grpc.aio.AbortError:
        return str(error_info(sent_status(context)).reason)
    return "OK"


@pytest.mark.parametrize(
    ("policy", "metadata", "expected"),
    [
        (MethodPolicy(Access.PUBLIC), (), "OK"),
        (MethodPolicy(Access.PUBLIC), bearer("nonsense"), "OK"),
        (MethodPolicy(Access.USER), (), "MISSING_CREDENTIALS"),
        (MethodPolicy(Access.USER), (("authorization", "Basic dXNlcg=="),), "MISSING_CREDENTIALS"),
        (MethodPolicy(Access.USER), (("authorization", "Bearer "),), "MISSING_CREDENTIALS"),
        (MethodPolicy(Access.USER), bearer("nonsense"), "INVALID_CREDENTIALS"),
        (MethodPolicy(Access.USER), bearer("user"), "OK"),
        (MethodPolicy(Access.USER), (("authorization", "bearer user"),), "OK"),
        (MethodPolicy(Access.USER, scope="chat"), bearer("user"), "OK"),
        (MethodPolicy(Access.USER, scope="tenant.admin"), bearer("user"), "MISSING_SCOPE"),
        (MethodPolicy(Access.USER, scope="tenant.admin"), bearer("operator"), "OK"),
        (MethodPolicy(Access.INTERNAL), bearer("service"), "OK"),
        (MethodPolicy(Access.INTERNAL), bearer("user"), "MISSING_SCOPE"),
        # Not even an operator: what clients hold never opens the inner doors.
        (MethodPolicy(Access.INTERNAL), bearer("operator"), "MISSING_SCOPE"),
    ],
)
async def test_who_gets_in(policy: MethodPolicy, metadata: Metadata, expected: str) -> None:
    assert await outcome(policy, metadata) == expected
