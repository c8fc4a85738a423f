"""Who may find an entry: a scope is part of every key, so nothing outside of it can ever be a hit."""

import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

# Enough that nobody can construct two scopes of one digest, in bytes.
_DIGEST_BYTES: Final = 20
# A mark only has to be rarely shared: an invalidation that hits a few entries too many costs misses.
_MARK_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Scope:
    """All that an answer depended on besides the question. Two scopes share entries only if every field is equal."""

    tenant_id: str
    user_id: str
    """Counts only if the scope is personal."""
    personal: bool
    tier: int = 0
    model: str = ""
    instructions_fingerprint: str = ""
    tools_fingerprint: str = ""
    language: str = ""
    context_fingerprint: str = ""

    def path(self) -> tuple[str, ...]:
        """The scope inside its tenant, from the widest to the narrowest; `Invalidate` takes any beginning of it."""
        return (
            f"user:{self.user_id}" if self.personal else "shared",
            str(self.tier),
            self.model,
            self.instructions_fingerprint,
            self.tools_fingerprint,
            self.language,
            self.context_fingerprint,
        )

    def digest(self) -> bytes:
        """Stands for the whole scope, 20 bytes."""
        return blake2b(_joined((self.tenant_id, *self.path())), digest_size=_DIGEST_BYTES).digest()

    def marks(self) -> tuple[bytes, ...]:
        """What the entries of this scope can be invalidated by: a mark for every beginning of its path."""
        path = self.path()
        return tuple(prefix_mark(path[:length]) for length in range(1, len(path) + 1))


def prefix_mark(prefix: tuple[str, ...]) -> bytes:
    """Stands for all scopes of a tenant whose path begins with `prefix`; 8 bytes."""
    return blake2b(_joined(prefix), digest_size=_MARK_BYTES, person=b"prefix").digest()


def tag_mark(tag: str) -> bytes:
    """Stands for all entries of a tenant with that tag; 8 bytes."""
    return blake2b(tag.encode(), digest_size=_MARK_BYTES, person=b"tag").digest()


def user_mark(user_id: str) -> bytes:
    """Stands for all entries of a tenant that this user put, shared ones included; 8 bytes."""
    return blake2b(user_id.encode(), digest_size=_MARK_BYTES, person=b"user").digest()


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
    scope: Scope

    @property
    def shared(self) -> bool:
        """Others of the tenant may find its answer. What is personal is found by equal text alone."""
        return not self.scope.personal


def ask(scope: Scope, text: str, digest: bytes = b"") -> Question:
    """The question `text` in `scope`; `digest` is the scope's, if it is known."""
    normalised = normalise(text)
    digest = digest or scope.digest()
    entry = blake2b(normalised.encode(), key=digest, digest_size=_DIGEST_BYTES).digest()
    return Question(Key(scope.tenant_id, digest, entry), normalised, scope)


def normalise(text: str) -> str:
    """What "the same text" means: equal after Unicode's NFC and without space around it, and in nothing else."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()


def _joined(parts: tuple[str, ...]) -> bytes:
    # Lengths are part of it, so no field can run over into the next.
    return "".join([f"{len(part)}:{part}" for part in parts]).encode()
