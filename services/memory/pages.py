"""Page tokens of ListMessages: a position, bound to the listing that gave it out."""

import base64
import binascii
import struct
from hashlib import blake2b
from typing import Final

from libs.core.errors import MeshError, Reason

_FORMAT: Final = struct.Struct(">B8sQ")
_VERSION: Final = 1


def encode(offset: int, conversation_id: str, request_id: str) -> str:
    """The token for the page that starts at `offset` of this listing."""
    packed = _FORMAT.pack(_VERSION, _listing(conversation_id, request_id), offset)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(token: str, conversation_id: str, request_id: str) -> int:
    """The offset that `token` stands for; 0 for an empty one.

    Raises:
        MeshError: INVALID_PAGE_TOKEN for a token that this listing did not give out.
    """
    if not token:
        return 0
    try:
        packed = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, listing, offset = _FORMAT.unpack(packed)
    except (binascii.Error, UnicodeEncodeError, struct.error) as error:
        raise MeshError(Reason.INVALID_PAGE_TOKEN) from error
    if version != _VERSION or listing != _listing(conversation_id, request_id) or offset >= 1 << 53:
        raise MeshError(Reason.INVALID_PAGE_TOKEN)
    return int(offset)


def _listing(conversation_id: str, request_id: str) -> bytes:
    return blake2b(f"{conversation_id}\n{request_id}".encode(), digest_size=8).digest()
