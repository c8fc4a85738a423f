"""Admission at the front door: one call of auth.Authorize per request."""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from agentmesh.auth.v1 import auth_pb2, auth_pb2_grpc
from libs.core.clock import Clock
from libs.core.context import Principal, RequestContext, require, scope
from libs.core.errors import Code, MeshError, Reason
from libs.server.spec import INTERNAL_AUDIENCE, Authenticated
from services.conversation.adapters.peers import peer
from services.conversation.convert import unix_seconds

_AUTH_IS_AWAY: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})
_NOT_ADMITTED: Final = frozenset({Code.UNAUTHENTICATED, Code.PERMISSION_DENIED})
_SPARE_SECONDS: Final = 60.0
_IMPERSONATIONS: Final = 10_000


class FrontDoor:
    """Asks auth who is calling and whether they may, every time, for limits hold only if every call is counted.

    While auth is away, credentials it admitted before stay good until the internal token it gave for them expires;
    all others are refused (fail closed).

    Args:
        stub: auth, on a channel that carries our own service token.
        timeout: seconds to wait for auth.
        capacity: credentials remembered for the time without auth.
    """

    def __init__(
        self,
        stub: "auth_pb2_grpc.AuthServiceAsyncStub",
        clock: Clock,
        *,
        timeout: float,
        capacity: int = 100_000,
    ) -> None:
        self._stub: Final = stub
        self._clock: Final = clock
        self._timeout: Final = timeout
        self._capacity: Final = capacity
        self._admitted: Final[OrderedDict[bytes, Authenticated]] = OrderedDict()

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        """Who holds `credential`, if one more call of `method` fits their limits."""
        if not credential:
            raise MeshError(Reason.MISSING_CREDENTIALS)
        key = blake2b(credential.encode(), digest_size=16).digest()
        try:
            response = await self._authorize(method, credential)
        except MeshError as error:
            if error.code in _AUTH_IS_AWAY:
                return self._remembered(key, error)
            if error.code in _NOT_ADMITTED:
                # Being over a limit is no reason to forget who it is.
                self._admitted.pop(key, None)
            raise
        admitted = _authenticated(response)
        self._remember(key, admitted)
        return admitted

    async def _authorize(self, method: str, credential: str) -> auth_pb2.AuthorizeResponse:
        request = auth_pb2.AuthorizeRequest(credential=credential, method=method)
        with peer("auth"):
            return await self._stub.Authorize(request, timeout=self._timeout)

    def _remembered(self, key: bytes, error: MeshError) -> Authenticated:
        known = self._admitted.get(key)
        if known is None or known.principal.token_expires_at <= self._clock.time():
            raise error
        require().log_fields["auth"] = "remembered"
        return known

    def _remember(self, key: bytes, admitted: Authenticated) -> None:
        self._admitted[key] = admitted
        self._admitted.move_to_end(key)
        if len(self._admitted) > self._capacity:
            self._admitted.popitem(last=False)


def _authenticated(response: auth_pb2.AuthorizeResponse) -> Authenticated:
    principal = response.principal
    return Authenticated(
        Principal(
            principal.tenant_id,
            principal.user_id,
            frozenset(principal.scopes),
            principal.key_id,
            INTERNAL_AUDIENCE,
            unix_seconds(response.expire_time),
        ),
        response.internal_token,
    )


class Impersonator:
    """Contexts for work done on a user's behalf after their own call is over: jobs, the outbox.

    Args:
        stub: auth.
        secret: what this service proves itself with.
    """

    def __init__(self, stub: "auth_pb2_grpc.AuthServiceAsyncStub", secret: str, clock: Clock) -> None:
        self._stub: Final = stub
        self._secret: Final = secret
        self._clock: Final = clock
        self._known: Final[OrderedDict[tuple[str, str], Authenticated]] = OrderedDict()

    async def act_for(self, context: RequestContext, tenant_id: str, user_id: str) -> None:
        """Put the user and a token for them into `context`."""
        admitted = self._known.get((tenant_id, user_id))
        if admitted is None or admitted.principal.token_expires_at - self._clock.time() < _SPARE_SECONDS:
            admitted = await self._issue(context, tenant_id, user_id)
        context.principal = admitted.principal
        context.token = admitted.token

    async def _issue(self, context: RequestContext, tenant_id: str, user_id: str) -> Authenticated:
        who = auth_pb2.Principal(tenant_id=tenant_id, user_id=user_id, scopes=["chat"])
        credential = auth_pb2.ServiceCredential(service="conversation", secret=self._secret, on_behalf_of=who)
        with scope(context), peer("auth"):
            response = await self._stub.IssueToken(auth_pb2.IssueTokenRequest(service=credential))
        expires_at = unix_seconds(response.expire_time)
        principal = Principal(tenant_id, user_id, frozenset({"chat"}), "", INTERNAL_AUDIENCE, expires_at)
        admitted = Authenticated(principal, response.token)
        self._known[tenant_id, user_id] = admitted
        if len(self._known) > _IMPERSONATIONS:
            self._known.popitem(last=False)
        return admitted
