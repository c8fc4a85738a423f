"""Page tokens: a cursor and a seal over it and what it pages through, so that only our own come back in."""

import base64
import hmac
from typing import Final

from libs.core.errors import MeshError, Reason

_SEAL_BYTES: Final = 12


class PageTokens:
    """Seals cursors with a secret that all replicas share."""

    def __init__(self, secret: bytes) -> None:
        self._secret: Final = secret

    def seal(self, subject: str, cursor: str) -> str:
        """The token for `cursor` in the list of `subject`; empty for an empty cursor, which ends the list."""
        if not cursor:
            return ""
        sealed = self._sign(subject, cursor) + cursor.encode()
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, subject: str, token: str) -> str:
        """The cursor in `token`, empty for an empty one.

        Raises:
            MeshError: INVALID_PAGE_TOKEN unless we sealed it for this very list.
        """
        if not token:
            return ""
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            cursor = sealed[_SEAL_BYTES:].decode()
        except ValueError:
            raise MeshError(Reason.INVALID_PAGE_TOKEN) from None
        if not hmac.compare_digest(sealed[:_SEAL_BYTES], self._sign(subject, cursor)):
            raise MeshError(Reason.INVALID_PAGE_TOKEN)
        return cursor

    def _sign(self, subject: str, cursor: str) -> bytes:
        return hmac.digest(self._secret, f"page:{subject}:{cursor}".encode(), "sha256")[:_SEAL_BYTES]
