"""Tokens: EdDSA JWTs, signed as rarely as can be. libs.server verifies them, in this service as in all others.

Claims: `iss` agentmesh, `aud` one of the two audiences, `sub` the user, `ten` the tenant, `scp` the scopes, `kid_` the
API key behind them, `svc` the service that asked (only for services), `exp`, `iat`, `jti`; the header's `kid` names
the signing key.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import jwt

from libs.core.clock import Clock
from libs.core.context import Principal
from libs.core.ids import new_request_id
from services.auth.signing import SigningKeys

ISSUER: Final = "agentmesh"
CLIENT_AUDIENCE: Final = "agentmesh"
INTERNAL_AUDIENCE: Final = "agentmesh-internal"
_ALGORITHM: Final = "EdDSA"


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token and the instant, in Unix seconds, until which it is valid."""

    token: str
    expires_at: int


class TokenSigner:
    """Signs tokens with the current key."""

    def __init__(self, keys: SigningKeys, clock: Clock) -> None:
        self._keys: Final = keys
        self._clock: Final = clock

    def sign(
        self, principal: Principal, audience: str, lifetime: int, *, not_after: float = 0.0, service: str = ""
    ) -> SignedToken:
        """A token for `principal`.

        Args:
            principal: who it speaks for.
            audience: who may be shown it.
            lifetime: seconds that it lives.
            not_after: Unix seconds beyond which it must not live; 0 sets no bound.
            service: the service that will hold it, for those who read the token.
        """
        now = int(self._clock.time())
        expires_at = min(now + lifetime, int(not_after)) if not_after else now + lifetime
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": audience,
            "sub": principal.user_id,
            "ten": principal.tenant_id,
            "scp": sorted(principal.scopes),
            "kid_": principal.key_id,
            "exp": expires_at,
            "iat": now,
            "jti": new_request_id(),
        }
        if service:
            claims["svc"] = service
        token = jwt.encode(claims, self._keys.private, algorithm=_ALGORITHM, headers={"kid": self._keys.kid})
        return SignedToken(token, expires_at)


class InternalTokens:
    """The tokens passed on behind the front door: one per principal, signed anew when half of its life is over.

    So a hot caller costs no signature, and whoever gets a token has at least half of `lifetime` seconds to use it.
    """

    def __init__(self, signer: TokenSigner, clock: Clock, lifetime: int, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be positive, got {capacity}")
        self._signer: Final = signer
        self._clock: Final = clock
        self._lifetime: Final = lifetime
        self._capacity: Final = capacity
        self._signed: OrderedDict[Principal, SignedToken] = OrderedDict()

    def of(self, principal: Principal) -> SignedToken:
        """A token for `principal`."""
        signed = self._signed.get(principal)
        if signed is None or signed.expires_at - self._clock.time() < self._lifetime / 2:
            signed = self._signed[principal] = self._signer.sign(principal, INTERNAL_AUDIENCE, self._lifetime)
        self._signed.move_to_end(principal)
        if len(self._signed) > self._capacity:
            self._signed.popitem(last=False)
        return signed

    def __repr__(self) -> str:
        return f"InternalTokens({len(self._signed)}/{self._capacity})"
