"""What the stage tests are made of: an authenticator with a list, a chain around one handler."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from libs.server.call import Call
from libs.server.chain import ChainOptions, compose, stages
from libs.server.spec import INTERNAL_AUDIENCE, Access, Authenticated, MethodPolicy
from libs.telemetry.telemetry import Telemetry
from libs.testing.clock import ManualClock
from libs.testing.grpc_context import FakeServicerContext, Metadata

METHOD = "/agentmesh.test.v1.TestService/Test"
USER = Principal("t1", "u1", frozenset({"chat"}), audience="agentmesh")
SERVICE = Principal("system", "", frozenset({"internal"}), audience=INTERNAL_AUDIENCE)
OPERATOR = Principal("root", "", frozenset({"admin"}), audience="agentmesh")
PUBLIC = MethodPolicy(Access.PUBLIC)


@dataclass
class ListAuthenticator:
    """Knows the credentials it was given."""

    known: Mapping[str, Principal] = field(
        default_factory=lambda: {"user": USER, "service": SERVICE, "operator": OPERATOR}
    )

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        if credential not in self.known:
            raise MeshError(Reason.INVALID_CREDENTIALS)
        return Authenticated(self.known[credential], f"internal-{credential}")


@dataclass
class Harness:
    """The whole chain, on virtual time."""

    clock: ManualClock = field(default_factory=ManualClock)
    telemetry: Telemetry = field(default_factory=lambda: Telemetry.local("test"))
    max_concurrent_calls: int = 10

    def __post_init__(self) -> None:
        options = ChainOptions("test", self.telemetry, self.clock, ListAuthenticator(), self.max_concurrent_calls)
        self.chain = stages(options)

    def unary(
        self, behaviour: Callable[[object, FakeServicerContext], Awaitable[object]], policy: MethodPolicy = PUBLIC
    ) -> Callable[[object, FakeServicerContext], Awaitable[object]]:
        """`behaviour` behind the chain, as gRPC would call it."""
        handler = compose(self.chain, METHOD, policy, grpc.unary_unary_rpc_method_handler(behaviour))
        assert handler.unary_unary is not None
        return handler.unary_unary  # type: ignore[return-value]  # gRPC types it as synchronous


def bearer(credential: str) -> Metadata:
    return (("authorization", f"Bearer {credential}"),)


async def echo(request: object, context: FakeServicerContext) -> object:
    return request


def new_call(metadata: Metadata = (), timeout: float | None = None) -> Call:
    return Call(FakeServicerContext(metadata, timeout))


def sent_status(context: FakeServicerContext) -> Status:
    """The rich status of an aborted call."""
    assert context.aborted_with is not None
    code, details, trailing = context.aborted_with
    ((key, value),) = trailing
    assert key == "grpc-status-details-bin"
    assert isinstance(value, bytes)
    status = Status.FromString(value)
    assert (status.code, status.message) == (code.value[0], details)
    return status


def error_info(status: Status) -> ErrorInfo:
    """The one ErrorInfo of a status."""
    found = [detail for detail in status.details if detail.Is(ErrorInfo.DESCRIPTOR)]
    assert len(found) == 1
    info = ErrorInfo()
    found[0].Unpack(info)
    return info
