"""How auth authenticates its own callers: by the same admission that it grants to others, without a call to itself."""

from typing import Final

from libs.server.spec import Authenticated
from services.auth.admission import Admission


class OwnAuthenticator:
    """Accepts the root key, API keys and tokens of both audiences; a key's call counts against its limits."""

    def __init__(self, admission: Admission) -> None:
        self._admission: Final = admission

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        """Who holds `credential`. Raises MeshError as `Admission.admit` does."""
        admitted = await self._admission.admit(credential, method)
        return Authenticated(admitted.principal, admitted.token.token)
