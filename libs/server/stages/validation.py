"""Innermost: is the request itself in order? Bad input never reaches a handler."""

from collections.abc import Awaitable, Callable
from typing import cast

from libs.server.call import Call, Proceed
from libs.server.spec import MethodPolicy


class ValidationStage:
    """Runs the policy's own check on the request."""

    def wrap(self, method: str, policy: MethodPolicy, proceed: Proceed) -> Proceed:  # noqa: ARG002 - no method's name
        """Methods without a check skip this."""
        if policy.validate is None:
            return proceed
        # The registration pairs a method with the check of its own message type.
        validate = cast("Callable[[object], None]", policy.validate)

        def validated(call: Call, request: object) -> Awaitable[object]:
            validate(request)
            return proceed(call, request)

        return validated
