"""One call on its way through the stages, and the shapes that stages share."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

import grpc

from libs.core.context import RequestContext
from libs.core.errors import Code
from libs.server.spec import MethodPolicy

ServicerContext = grpc.aio.ServicerContext[object, object]


class Call:
    """What the stages know about a call. Filled in from the outside in; one object, so that a call costs one.

    Attributes:
        servicer_context: gRPC's own side of the call.
        credential: the bearer value, empty if there was none.
        parent_traceparent: the caller's trace context, as it came.
        traceparent: our span in that trace.
        request_context: what handlers and outgoing calls see; set by the request-context stage.
        code: how the call ended; OK until the error-translation stage says otherwise.
        reason: the catalogue's name for a failure, or empty.
    """

    __slots__ = (
        "code",
        "credential",
        "parent_traceparent",
        "reason",
        "request_context",
        "servicer_context",
        "traceparent",
    )

    def __init__(self, servicer_context: ServicerContext) -> None:
        self.servicer_context: Final = servicer_context
        self.credential = ""
        self.parent_traceparent = ""
        self.traceparent = ""
        self.request_context: RequestContext | None = None
        self.code = Code.OK
        self.reason = ""
        # Asking for the metadata builds it anew, so it is read once, here.
        for key, value in _metadata(servicer_context):
            if key == "authorization":
                self.credential = _bearer(value)
            elif key == "traceparent":
                self.parent_traceparent = str(value)


Proceed = Callable[[Call, object], Awaitable[object]]
"""The rest of the chain: takes the call and its request (an iterator of them for client streams)."""


class Stage(Protocol):
    """One concern of every call."""

    def wrap(self, method: str, policy: MethodPolicy, proceed: Proceed) -> Proceed:
        """`proceed` with this concern around it, for one method; `proceed` itself if the policy needs nothing."""
        ...


def _metadata(context: ServicerContext) -> Iterable[tuple[str, str | bytes]]:
    return context.invocation_metadata() or ()


def _bearer(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode("latin-1")
    return text[7:].strip() if text[:7].lower() == "bearer " else ""
