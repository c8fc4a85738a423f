"""Signing keys: the one that signs, those that still verify, and the key set that tells others (RFC 7517, 8037)."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES: Final = 32
_FROM_URL_ALPHABET: Final = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The current private key and every public key that tokens may be signed with."""

    private: Ed25519PrivateKey
    kid: str
    """The current key's id, its RFC 7638 thumbprint."""
    public: Mapping[str, Ed25519PublicKey]
    """By kid: the current key first, then previous ones, whose tokens may still be alive."""
    jwks_json: str


def signing_keys(seed: bytes, previous_public_keys: Sequence[bytes] = ()) -> SigningKeys:
    """The keys made of a 32-byte seed and the raw 32-byte public keys of before the last rotation."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    current = private.public_key().public_bytes_raw()
    raw = {thumbprint(key): key for key in (current, *previous_public_keys)}
    return SigningKeys(
        private=private,
        kid=thumbprint(current),
        public={kid: Ed25519PublicKey.from_public_bytes(key) for kid, key in raw.items()},
        jwks_json=_jwks(raw),
    )


def thumbprint(public_key: bytes) -> str:
    """The RFC 7638 thumbprint of a raw Ed25519 public key, as RFC 8037 (appendix A.3) defines it."""
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64url(public_key)}"}}'
    return _base64url(hashlib.sha256(members.encode()).digest())


def decode_key(text: str) -> bytes:
    """The 32 bytes behind their base64 or base64url text, padded or not, so that a key set's `x` may be copied.

    Raises:
        ValueError: it is something else; the message does not quote it.
    """
    standard = text.rstrip("=").translate(_FROM_URL_ALPHABET)
    try:
        raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError:
        raise ValueError("must be base64") from None
    if len(raw) != KEY_BYTES:
        raise ValueError(f"must be base64 of exactly {KEY_BYTES} bytes, got {len(raw)}")
    return raw


def _jwks(raw: Mapping[str, bytes]) -> str:
    keys = [
        {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": _base64url(key)}
        for kid, key in raw.items()
    ]
    return orjson.dumps({"keys": keys}).decode()


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
