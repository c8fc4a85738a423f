"""Exchange: a token for an API key or for a service's secret."""

import hmac
from dataclasses import dataclass
from typing import Final

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from services.auth import scopes
from services.auth.admission import Admission
from services.auth.tokens import CLIENT_AUDIENCE, INTERNAL_AUDIENCE, SignedToken, TokenSigner

_SERVICE_SCOPES: Final = frozenset({scopes.INTERNAL})


@dataclass(frozen=True, slots=True)
class ServiceProof:
    """What a service proves itself with, and on whose behalf it wants to act (None: its own)."""

    service: str
    secret: str
    on_behalf_of: Principal | None = None


class Exchange:
    """Issues tokens. A token itself buys none, so nobody prolongs one."""

    def __init__(self, admission: Admission, signer: TokenSigner, service_secret: str, default_lifetime: int) -> None:
        self._admission: Final = admission
        self._signer: Final = signer
        self._service_secret: Final = service_secret.encode()
        self._default_lifetime: Final = default_lifetime

    async def for_key(self, credential: str, user_id: str, lifetime: int, method: str) -> SignedToken:
        """A client's token for the holder of an API key, or for the end user they name; counts as a call of `method`.

        It does not outlive the key. `lifetime` is in seconds, 0 for the default.

        Raises:
            MeshError: as `Admission.admit`; MISSING_SCOPE if the key may not speak for `user_id`.
        """
        holder = await self._admission.admit_key(credential, method)
        held = holder.principal
        granted = scopes.delegated(held.scopes, held.user_id, user_id)
        principal = Principal(held.tenant_id, user_id or held.user_id, granted, held.key_id)
        return self._signer.sign(
            principal, CLIENT_AUDIENCE, lifetime or self._default_lifetime, not_after=holder.key_expires_at
        )

    def for_service(self, proof: ServiceProof, lifetime: int) -> SignedToken:
        """An internal token for a service of this installation. Needs no store.

        Raises:
            MeshError: INVALID_CREDENTIALS if the secret is wrong.
        """
        if not hmac.compare_digest(proof.secret.encode(), self._service_secret):
            raise MeshError(Reason.INVALID_CREDENTIALS)
        principal = proof.on_behalf_of or Principal(scopes.SYSTEM_TENANT, "", _SERVICE_SCOPES)
        lifetime = lifetime or self._default_lifetime
        return self._signer.sign(principal, INTERNAL_AUDIENCE, lifetime, service=proof.service)
