"""Second: what handlers and outgoing calls read about the request, set for the call's own task."""

from collections.abc import Awaitable
from typing import cast

from libs.core import context
from libs.core.clock import Clock
from libs.core.context import RequestContext
from libs.core.deadline import Deadline
from libs.server.call import Call, Proceed, ServicerContext
from libs.server.spec import MethodPolicy


class RequestContextStage:
    """Gives every call a `RequestContext`, and with it a deadline.

    Args:
        clock: the deadline's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def wrap(self, method: str, policy: MethodPolicy, proceed: Proceed) -> Proceed:  # noqa: ARG002 - all methods alike
        """Every method runs inside a context."""
        clock = self._clock
        default_timeout = policy.default_timeout

        def within(call: Call, request: object) -> Awaitable[object]:
            timeout = client_timeout(call.servicer_context)
            deadline = Deadline.after(default_timeout if timeout is None else timeout, clock)
            call.request_context = RequestContext(deadline, call.traceparent)
            context.enter(call.request_context)
            return proceed(call, request)

        return within


def client_timeout(servicer_context: ServicerContext) -> float | None:
    """Seconds the client still waits; None if it sent no deadline, which gRPC's types forget to say."""
    return cast("float | None", servicer_context.time_remaining())
