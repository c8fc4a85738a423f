"""Verification of our own tokens: EdDSA JWTs, checked once each against auth's published keys."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import grpc
import jwt

from libs.core.clock import Clock
from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from libs.server.spec import CLIENT_AUDIENCE, INTERNAL_AUDIENCE, Authenticated

ISSUER: Final = "agentmesh"
_CLAIMS: Final = ("iss", "aud", "sub", "ten", "scp", "exp")
_RETRY_AFTER: Final = 1.0


@dataclass(frozen=True, slots=True)
class JwksOptions:
    """How often the keys are asked for."""

    min_interval: float = 10.0
    """Seconds between two fetches, so that forged key ids cannot make us flood auth."""
    max_age: float = 300.0
    """Seconds after which the set is fetched again, so that withdrawn keys go away."""
    retry_interval: float = 1.0
    """Seconds between fetches while they fail and we have nothing."""
    fetch_timeout: float = 2.0
    """Seconds until an unanswered fetch has failed."""


class Jwks:
    """The public keys of auth, fetched when first needed and again when a token names one we do not know.

    Args:
        fetch: returns a JSON Web Key Set; raises `MeshError` or `grpc.RpcError` if it could not.
        clock: measures ages.
        options: intervals.
    """

    def __init__(self, fetch: Callable[[], Awaitable[str]], clock: Clock, options: JwksOptions | None = None) -> None:
        self._fetch = fetch
        self._clock = clock
        self._options = options if options is not None else JwksOptions()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK:
        """The key called `key_id`; one that we know is good for as long as we cannot learn better.

        Raises:
            MeshError: INVALID_CREDENTIALS if auth does not know it, PEER_UNAVAILABLE if auth cannot be asked.
        """
        found = self._keys.get(key_id)
        if found is not None and self._age() < self._options.max_age:
            return found
        if found is not None and self._lock.locked():
            # Somebody is asking already.
            return found
        async with self._lock:
            await self._refresh(known=key_id in self._keys)
        found = self._keys.get(key_id)
        if found is not None:
            return found
        if self._fetched_at < self._tried_at:
            raise _auth_unavailable()
        raise MeshError(Reason.INVALID_CREDENTIALS)

    async def _refresh(self, known: bool) -> None:
        now = self._clock.monotonic()
        failing = self._fetched_at < self._tried_at
        wait = self._options.retry_interval if failing and not known else self._options.min_interval
        if now - self._tried_at < wait:
            return
        before, self._tried_at = self._tried_at, now
        try:
            async with asyncio.timeout(self._options.fetch_timeout):
                keys = _parse(await self._fetch())
        except asyncio.CancelledError:
            # Whoever asked gave up: that says nothing about auth, so the next one asks again.
            self._tried_at = before
            raise
        except (MeshError, grpc.RpcError, TimeoutError):
            # The last good set stays: tokens already issued remain valid while auth is away or talks nonsense.
            return
        self._keys = keys
        self._fetched_at = now

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched_at

    def __repr__(self) -> str:
        return f"Jwks({sorted(self._keys)})"


class AuthenticatorStatistics(NamedTuple):
    """A snapshot of a `TokenAuthenticator`."""

    cached: int
    """Tokens whose signature need not be checked again."""
    verified: int
    """Signatures checked so far."""


class TokenAuthenticator:
    """Accepts tokens that auth signed, and nothing else.

    A signature is checked once (113 us); until it expires the token is then recognised by its text (0.3 us).

    Args:
        jwks: where public keys come from.
        clock: decides whether a token has expired.
        capacity: tokens remembered; the least recently used is forgotten.
    """

    def __init__(self, jwks: Jwks, clock: Clock, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._jwks = jwks
        self._clock = clock
        self._capacity = capacity
        self._known: OrderedDict[str, Authenticated] = OrderedDict()
        self._verified = 0

    async def authenticate(self, method: str, credential: str) -> Authenticated:  # noqa: ARG002 - every method alike
        """Who holds the token.

        Raises:
            MeshError: MISSING_CREDENTIALS, INVALID_CREDENTIALS, EXPIRED_CREDENTIALS, or PEER_UNAVAILABLE when the
                key is not known yet and auth cannot be asked.
        """
        known = self._known.get(credential)
        if known is None:
            known = await self._verify(credential)
            self._remember(credential, known)
        else:
            self._known.move_to_end(credential)
        if self._clock.time() >= known.principal.token_expires_at:
            self._known.pop(credential, None)
            raise MeshError(Reason.EXPIRED_CREDENTIALS)
        return known

    def statistics(self) -> AuthenticatorStatistics:
        """What happened so far."""
        return AuthenticatorStatistics(len(self._known), self._verified)

    async def _verify(self, token: str) -> Authenticated:
        if not token:
            raise MeshError(Reason.MISSING_CREDENTIALS)
        key = await self._jwks.key(_key_id(token))
        self._verified += 1
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=[CLIENT_AUDIENCE, INTERNAL_AUDIENCE],
                issuer=ISSUER,
                # Expiry is ours to check, on the injected clock.
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.PyJWTError:
            raise MeshError(Reason.INVALID_CREDENTIALS) from None
        return Authenticated(_principal(claims), token)

    def _remember(self, token: str, authenticated: Authenticated) -> None:
        self._known[token] = authenticated
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def __repr__(self) -> str:
        return f"TokenAuthenticator({self.statistics()})"


def _key_id(token: str) -> str:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        raise MeshError(Reason.INVALID_CREDENTIALS) from None
    if not isinstance(key_id, str):
        raise MeshError(Reason.INVALID_CREDENTIALS)
    return key_id


def _principal(claims: Mapping[str, object]) -> Principal:
    match claims:
        case {"ten": str(tenant), "sub": str(user), "scp": list(scopes), "aud": str(audience), "exp": int(expires)}:
            return Principal(
                tenant_id=tenant,
                user_id=user,
                scopes=frozenset(str(scope) for scope in scopes),
                key_id=str(claims.get("kid_", "")),
                audience=audience,
                token_expires_at=float(expires),
            )
    raise MeshError(Reason.INVALID_CREDENTIALS)


def _parse(text: str) -> Mapping[str, jwt.PyJWK]:
    try:
        found = jwt.PyJWKSet.from_json(text).keys
    except (ValueError, TypeError, AttributeError, jwt.PyJWTError):
        # PyJWT takes for granted that JSON is an object of lists of objects.
        raise _auth_unavailable() from None
    keys = {key.key_id: key for key in found if key.key_id is not None}
    if not keys:
        raise _auth_unavailable()
    return keys


def _auth_unavailable() -> MeshError:
    return MeshError(Reason.PEER_UNAVAILABLE, domain="auth", retry_after=_RETRY_AFTER)
