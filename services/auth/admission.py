"""Admission: who holds a credential, and whether one more call fits their limits."""

import hmac
from dataclasses import dataclass, replace
from typing import Final

from libs.core.context import Principal
from libs.core.errors import MeshError, QuotaViolation, Reason
from services.auth import scopes
from services.auth.keys import PREFIX, KeyMint
from services.auth.ports import Gate, GateAnswer, GateQuestion, HitLimit, Standing, TokenReader
from services.auth.tokens import CLIENT_AUDIENCE, INTERNAL_AUDIENCE, InternalTokens, SignedToken

_REFUSALS: Final = {
    Standing.UNKNOWN: Reason.INVALID_CREDENTIALS,
    Standing.REVOKED: Reason.REVOKED_CREDENTIALS,
    Standing.EXPIRED: Reason.EXPIRED_CREDENTIALS,
    Standing.DISABLED: Reason.TENANT_DISABLED,
}
_ROOT: Final = Principal(scopes.ROOT_TENANT, "", frozenset({scopes.ADMIN}), audience=CLIENT_AUDIENCE)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Who presented the root key or an API key, admitted."""

    principal: Principal
    key_expires_at: float = 0.0
    """Unix seconds when the key stops working; 0 means never."""
    calls: int = 1
    """How many calls were admitted."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An admitted call, or several of them."""

    principal: Principal
    """Its audience is the presented token's, or `agentmesh` for a key."""
    token: SignedToken
    """The internal token to pass on."""
    calls: int = 1
    """How many calls were admitted and counted."""


class Admission:
    """Answers who holds a credential and admits one call or a few, with at most one step of the gate."""

    def __init__(self, gate: Gate, mint: KeyMint, root_key: str, tokens: TokenReader, internal: InternalTokens) -> None:
        self._gate: Final = gate
        self._mint: Final = mint
        self._root_key: Final = root_key.encode()
        self._tokens: Final = tokens
        self._internal: Final = internal

    async def admit(self, credential: str, method: str, wanted_calls: int = 1) -> Admitted:
        """Admit one call of `method` by whoever holds `credential`: the root key, an API key, or a token.

        Of the calls wanted beyond the first, as many are admitted as half of the room under the limits allows; whoever
        has no limits gets all.

        Raises:
            MeshError: MISSING, INVALID, REVOKED or EXPIRED_CREDENTIALS, TENANT_DISABLED; RATE_LIMITED with the
                limits that were hit and when to retry; STORE_UNAVAILABLE.
        """
        if not credential or credential.startswith(PREFIX) or self._is_root(credential):
            holder = await self.admit_key(credential, method, wanted_calls)
            principal, calls = holder.principal, holder.calls
        else:
            calls = wanted_calls
            principal = await self._tokens.read(credential)
            if principal.audience == INTERNAL_AUDIENCE:
                # A service's: its work was admitted when it entered the mesh.
                return Admitted(principal, SignedToken(credential, int(principal.token_expires_at)), calls)
            if principal.key_id:
                question = GateQuestion(principal.key_id, method, b"", principal.user_id, wanted_calls)
                calls = (await self._pass_gate(question)).granted_calls
        # The cache of internal tokens must not see a client token's expiry, which differs with every token.
        return Admitted(principal, self._internal.of(replace(principal, token_expires_at=0.0)), calls)

    async def admit_key(self, credential: str, method: str, wanted_calls: int = 1) -> KeyHolder:
        """Admit calls of `method` by the holder of the root key or of an API key; a token is refused.

        Raises:
            MeshError: as `admit` does.
        """
        if not credential:
            raise MeshError(Reason.MISSING_CREDENTIALS)
        if self._is_root(credential):
            return KeyHolder(_ROOT, calls=wanted_calls)
        key = self._mint.read(credential)
        if key is None:
            raise MeshError(Reason.INVALID_CREDENTIALS)
        answer = await self._pass_gate(GateQuestion(key.key_id, method, key.digest, wanted_calls=wanted_calls))
        principal = Principal(key.tenant_id, answer.user_id, answer.scopes, key.key_id, CLIENT_AUDIENCE)
        return KeyHolder(principal, answer.expire_time_ms / 1000, answer.granted_calls)

    def _is_root(self, credential: str) -> bool:
        return hmac.compare_digest(credential.encode(), self._root_key)

    async def _pass_gate(self, question: GateQuestion) -> GateAnswer:
        answer = await self._gate.admit(question)
        if answer.standing is Standing.ADMITTED:
            return answer
        if answer.standing is Standing.LIMITED:
            raise _limited(answer.hit)
        raise MeshError(_REFUSALS[answer.standing])


def _limited(hit: tuple[HitLimit, ...]) -> MeshError:
    quota = [QuotaViolation(limit.subject, _describe(limit)) for limit in hit]
    return MeshError(Reason.RATE_LIMITED, quota=quota, retry_after=max(limit.wait_seconds for limit in hit))


def _describe(limit: HitLimit) -> str:
    return f"{limit.per_minute} requests a minute, at most {limit.capacity} at once"
