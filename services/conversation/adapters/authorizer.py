"""Admission at the front door: auth.Authorize, once per call, or once per grant for credentials that call often."""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, NamedTuple

from agentmesh.auth.v1 import auth_pb2, auth_pb2_grpc
from libs.core.clock import Clock
from libs.core.context import Principal, RequestContext, current, require, scope
from libs.core.errors import Code, MeshError, Reason
from libs.mesh.errors import typed_errors
from libs.server.spec import INTERNAL_AUDIENCE, Authenticated
from services.conversation.adapters.refills import Refills
from services.conversation.convert import seconds_of, unix_seconds
from services.conversation.grants import Grants, GrantsStatistics

_AUTH_IS_AWAY: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})
_NOT_ADMITTED: Final = frozenset({Code.UNAUTHENTICATED, Code.PERMISSION_DENIED})
_SPARE_SECONDS: Final = 60.0
_IMPERSONATIONS: Final = 10_000


class _Key(NamedTuple):
    """What a grant is for."""

    digest: bytes
    """Of the credential, which itself is kept nowhere."""
    method: str


class FrontDoor:
    """Asks auth who is calling and whether they may, for limits hold only if every call is counted.

    A credential that calls often is granted calls ahead, counted when they are granted; while those last nobody asks.
    Then one call asks, and the others of that credential and method wait for its answer.

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
        self._grants: Final[Grants[Authenticated]] = Grants(clock)
        self._refills: Final = Refills()
        # Waiting for another's answer pays only if it may bring a grant; auth's answers say whether it makes any.
        self._auth_grants = True

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        """Who holds `credential`, if one more call of `method` fits their limits."""
        if not credential:
            raise MeshError(Reason.MISSING_CREDENTIALS)
        key = _Key(blake2b(credential.encode(), digest_size=16).digest(), method)
        try:
            return await self._admit(key, credential)
        except MeshError as error:
            if error.code in _AUTH_IS_AWAY:
                return self._remembered(key.digest, error)
            if error.code in _NOT_ADMITTED:
                # Being over a limit is no reason to forget who it is.
                self._admitted.pop(key.digest, None)
                self._grants.drop(key)
            raise

    def statistics(self) -> GrantsStatistics:
        """How many calls did not have to ask."""
        return self._grants.statistics()

    async def _admit(self, key: _Key, credential: str) -> Authenticated:
        waiting = 0
        while (admitted := self._grants.take(key)) is None:
            if not self._auth_grants:
                return await self._ask(key, credential, 1)
            refill = self._refills.of(key)
            if refill is None:
                return await self._refill(key, credential, waiting)
            await refill.ended()
            waiting = refill.waiting
        return admitted

    async def _refill(self, key: _Key, credential: str, waiting: int) -> Authenticated:
        context = current()
        patient = context is None or context.deadline.remaining() >= self._timeout
        with self._refills.ask(key) as refill:
            try:
                return await self._ask(key, credential, self._grants.wanted(key, waiting))
            except MeshError as error:
                # That this caller had no time to wait for auth says nothing to the others.
                if patient or error.code is not Code.DEADLINE_EXCEEDED:
                    refill.failure = error
                raise

    async def _ask(self, key: _Key, credential: str, wanted: int) -> Authenticated:
        request = auth_pb2.AuthorizeRequest(credential=credential, method=key.method, wanted_calls=wanted)
        with typed_errors("auth"):
            response = await self._stub.Authorize(request, timeout=self._timeout)
        admitted = _authenticated(response)
        self._remember(key.digest, admitted)
        self._auth_grants = response.HasField("grant_duration")
        token_lives = admitted.principal.token_expires_at - self._clock.time()
        self._grants.put(key, admitted, response.granted_calls, min(seconds_of(response.grant_duration), token_lives))
        return admitted

    def _remembered(self, digest: bytes, error: MeshError) -> Authenticated:
        known = self._admitted.get(digest)
        if known is None or known.principal.token_expires_at <= self._clock.time():
            raise error
        require().log_fields["auth"] = "remembered"
        return known

    def _remember(self, digest: bytes, admitted: Authenticated) -> None:
        self._admitted[digest] = admitted
        self._admitted.move_to_end(digest)
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
        with scope(context), typed_errors("auth"):
            response = await self._stub.IssueToken(auth_pb2.IssueTokenRequest(service=credential))
        expires_at = unix_seconds(response.expire_time)
        principal = Principal(tenant_id, user_id, frozenset({"chat"}), "", INTERNAL_AUDIENCE, expires_at)
        admitted = Authenticated(principal, response.token)
        self._known[tenant_id, user_id] = admitted
        if len(self._known) > _IMPERSONATIONS:
            self._known.popitem(last=False)
        return admitted
