"""Fifth: who is calling, and may they?"""

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from libs.server.call import Call, Proceed
from libs.server.spec import ADMIN_SCOPE, INTERNAL_AUDIENCE, Access, Authenticator, MethodPolicy


class AuthenticationStage:
    """Establishes the principal and checks it against the method's policy.

    Args:
        authenticator: knows credentials.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def wrap(self, method: str, policy: MethodPolicy, proceed: Proceed) -> Proceed:
        """Public methods skip this."""
        if policy.access is Access.PUBLIC:
            return proceed
        authenticate = self._authenticator.authenticate

        async def authenticated(call: Call, request: object) -> object:
            if not call.credential:
                raise MeshError(Reason.MISSING_CREDENTIALS)
            found = await authenticate(method, call.credential)
            _check(found.principal, policy)
            context = call.request_context
            if context is None:
                raise LookupError("the request-context stage comes before authentication")
            context.principal = found.principal
            context.token = found.token
            return await proceed(call, request)

        return authenticated


def _check(principal: Principal, policy: MethodPolicy) -> None:
    if policy.access is Access.INTERNAL and principal.audience != INTERNAL_AUDIENCE:
        raise MeshError(Reason.MISSING_SCOPE, "Only services may call this method.")
    scope = policy.scope
    if scope and scope not in principal.scopes and ADMIN_SCOPE not in principal.scopes:
        raise MeshError(Reason.MISSING_SCOPE, f"The credentials lack the scope `{scope}`.")
