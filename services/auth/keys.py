"""API keys: how they are made, read and remembered.

A key is `amk_<id>_<secret>`. The id is the tenant's 10 characters and 8 of its own, so whoever holds a key knows the
tenant's hash tag without asking. The secret is 32 random characters (160 bits) and 6 of checksum over everything
before them, so that a mistyped or truncated key is refused without a look at the store. All characters are Crockford's
base 32. Only an HMAC of the whole credential under the pepper is stored.
"""

import base64
import hmac
import re
import zlib
from dataclasses import dataclass
from typing import Final

from libs.core.ids import random_id

PREFIX: Final = "amk_"
TENANT_ID_LENGTH: Final = 10
KEY_ID_LENGTH: Final = 18
_RANDOM_LENGTH: Final = 32
_CHECKSUM_LENGTH: Final = 6

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_FROM_RFC_4648: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET)
_TENANT_ID: Final = re.compile(rf"t[{_ALPHABET}]{{{TENANT_ID_LENGTH - 1}}}")
_KEY_ID: Final = re.compile(rf"t[{_ALPHABET}]{{{KEY_ID_LENGTH - 1}}}")
_CREDENTIAL: Final = re.compile(
    rf"{PREFIX}(t[{_ALPHABET}]{{{KEY_ID_LENGTH - 1}}})_[{_ALPHABET}]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}}"
)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A well-formed API key that somebody presented: which record to compare with what."""

    key_id: str
    digest: bytes

    @property
    def tenant_id(self) -> str:
        """The tenant, read off the key."""
        return tenant_of(self.key_id)


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A fresh credential, to be shown once, and the digest to be stored."""

    credential: str
    digest: bytes


class KeyMint:
    """Makes ids and credentials, and reads credentials; the same pepper must serve for the life of the keys."""

    def __init__(self, pepper: bytes) -> None:
        if len(pepper) < 32:
            raise ValueError(f"the pepper must have at least 32 bytes, got {len(pepper)}")
        self._pepper: Final = pepper

    def tenant_id(self, request_id: str, attempt: int) -> str:
        """The tenant id a request leads to: the same for the same request, so a repeated one finds its tenant.

        `attempt` counts up from 0 when the id is another request's already (one chance in 2^45 for each tenant).
        """
        return "t" + self._derive("tenant", request_id, attempt, TENANT_ID_LENGTH - 1)

    def key_id(self, tenant_id: str, request_id: str, attempt: int) -> str:
        """The key id a request leads to, in the same way."""
        return tenant_id + self._derive(f"key:{tenant_id}", request_id, attempt, KEY_ID_LENGTH - TENANT_ID_LENGTH)

    def mint(self, key_id: str) -> MintedKey:
        """A new secret for `key_id`."""
        body = f"{PREFIX}{key_id}_{random_id('', _RANDOM_LENGTH)}"
        credential = body + _checksum(body)
        return MintedKey(credential, self._digest(credential))

    def read(self, credential: str) -> PresentedKey | None:
        """What to look up for a credential, or None if it cannot be one of ours."""
        match = _CREDENTIAL.fullmatch(credential)
        if match is None or _checksum(credential[:-_CHECKSUM_LENGTH]) != credential[-_CHECKSUM_LENGTH:]:
            return None
        return PresentedKey(match[1], self._digest(credential))

    def _digest(self, credential: str) -> bytes:
        return hmac.digest(self._pepper, b"api-key:" + credential.encode(), "sha256")

    def _derive(self, what: str, request_id: str, attempt: int, length: int) -> str:
        seed = f"id:{what}:{request_id}:{attempt}"
        return _base32(hmac.digest(self._pepper, seed.encode(), "sha256"), length)


def is_tenant_id(text: str) -> bool:
    """Whether `text` has the shape of a tenant's id."""
    return _TENANT_ID.fullmatch(text) is not None


def is_key_id(text: str) -> bool:
    """Whether `text` has the shape of a key's id."""
    return _KEY_ID.fullmatch(text) is not None


def tenant_of(key_id: str) -> str:
    """The tenant that a key belongs to."""
    return key_id[:TENANT_ID_LENGTH]


def _checksum(body: str) -> str:
    # CRC-32's lower 30 bits: every substitution of one character is caught, other slips but for one in 2^30.
    return _base32((zlib.crc32(body.encode()) << 2 & 0xFFFFFFFF).to_bytes(4, "big"), _CHECKSUM_LENGTH)


def _base32(octets: bytes, length: int) -> str:
    """The first `length` characters (5 bits each) of `octets` in Crockford's base 32."""
    return base64.b32encode(octets)[:length].decode().translate(_FROM_RFC_4648)
