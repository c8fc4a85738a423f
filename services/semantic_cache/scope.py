"""Who may find an entry: a scope is part of every key, so nothing outside of it can ever be a hit."""

import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

# Enough that nobody can construct two scopes of one digest, in bytes.
_DIGEST_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Scope:
    """All that an answer depended on besides the question. Two scopes share entries only if every field is equal."""

    tenant_id: str
    user_id: str
    """Counts only if the scope is personal."""
    personal: bool
    tier: int
    model: str
    instructions_fingerprint: str
    context_fingerprint: str

    def digest(self) -> bytes:
        """Stands for the whole scope. Lengths are part of it, so no field can run over into the next."""
        owner = self.user_id if self.personal else ""
        parts = (
            self.tenant_id,
            "personal" if self.personal else "shared",
            owner,
            str(self.tier),
            self.model,
            self.instructions_fingerprint,
            self.context_fingerprint,
        )
        return blake2b("".join([f"{len(part)}:{part}" for part in parts]).encode(), digest_size=_DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Key:
    """Where an entry is kept."""

    tenant_id: str
    scope: bytes
    """`Scope.digest()`."""
    entry: bytes
    """Digest of the scope and the text: unique among all tenants."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text in a scope."""

    key: Key
    text: str
    """Normalised."""
    shared: bool
    """Others of the tenant may find its answer. What is personal is found by equal text alone."""


def ask(scope: Scope, text: str) -> Question:
    """The question `text` in `scope`."""
    normalised = normalise(text)
    digest = scope.digest()
    entry = blake2b(normalised.encode(), key=digest, digest_size=_DIGEST_BYTES).digest()
    return Question(Key(scope.tenant_id, digest, entry), normalised, not scope.personal)


def normalise(text: str) -> str:
    """What "the same text" means: equal after Unicode's NFC and without space around it, and in nothing else."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()
