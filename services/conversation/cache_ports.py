"""What a turn needs of the answer cache: reuse, and one making of an answer for all who ask for it at once."""

from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Final, Protocol

from services.conversation.turn import CacheLayer, Options, Usage

MAX_PIECES: Final = 65_536
"""An answer that was streamed in more pieces than this is kept as one."""


@dataclass(frozen=True, slots=True)
class CacheScope:
    """What else an answer depends on."""

    options: Options
    instructions_fingerprint: str
    context_fingerprint: str
    tools_fingerprint: str = ""
    """Empty: no tools took part."""

    @property
    def personal(self) -> bool:
        """Answers that depend on a user's own history are for that user."""
        return bool(self.context_fingerprint)


@dataclass(frozen=True, slots=True)
class CacheHit:
    """An answer given before, with what its making had taken."""

    text: str
    model: str
    usage: Usage
    cost_usd_micros: int
    layer: CacheLayer
    similarity: float
    piece_lengths: tuple[int, ...] = ()
    """Of the pieces it was streamed in, in characters; empty if it was not."""

    def pieces(self) -> list[str]:
        """The text as it was streamed; in one piece if it was not, or if the lengths are not those of this text."""
        if sum(self.piece_lengths) != len(self.text):
            return [self.text]
        ends = accumulate(self.piece_lengths)
        return [self.text[end - length : end] for length, end in zip(self.piece_lengths, ends, strict=True) if length]


@dataclass(frozen=True, slots=True)
class CacheLease:
    """The right and the duty to have an answer made: others wait for it."""

    token: bytes
    ttl: float
    """Seconds until the others no longer wait, unless it is renewed."""


@dataclass(frozen=True, slots=True)
class CacheMiss:
    """No answer."""

    embedding: bytes = b""
    """The question's, if it was computed: spares Put the work."""
    lease: CacheLease | None = None
    """Unless nobody waits for what is made now."""
    receipt: bytes = b""
    """What the cache decided, for it to learn from."""
    unasked: bool = False
    """It was not asked, could not be, or its answer was not wanted: what is made now is not for it to keep, since it
    cannot tell what is invalidated meanwhile."""


@dataclass(frozen=True, slots=True)
class CacheHeld:
    """No answer yet: another caller is having it made."""

    left: float
    """Seconds, positive, of what this caller was content to wait."""


class Unshared(Enum):
    """Why those who wait get no answer."""

    FAILED = "failed"
    """There is none: one of them is to try next."""
    NOT_REUSABLE = "not_reusable"
    """There is one, but not for others: each makes its own."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """An answer worth keeping."""

    request_id: str
    scope: CacheScope
    question: str
    text: str
    model: str
    usage: Usage
    cost_usd_micros: int
    piece_lengths: tuple[int, ...]
    miss: CacheMiss
    """What the lookup before it had given; its lease ends with the entry."""


class AnswerCache(Protocol):
    """Reuse of answers. Failures raise MeshError; the caller goes on without. Acts for the current request."""

    async def lookup(self, scope: CacheScope, question: str, max_wait: float) -> CacheHit | CacheMiss | CacheHeld:
        """An answer for the question in the scope, if there is one by now; hardly waits.

        Args:
            scope: what else the answer depends on.
            question: canonical Unicode, stripped.
            max_wait: seconds that the caller would wait for an answer that another one is having made; 0 asks for no
                lease either.
        """
        ...

    async def wait(self, scope: CacheScope, question: str, held: CacheHeld) -> CacheHit | CacheMiss:
        """The answer that another caller is having made, or the lease if that one is gone.

        A miss without a lease means that there will be no such answer, or none in the time that is left.
        """
        ...

    async def renew(self, scope: CacheScope, question: str, lease: CacheLease) -> bool:
        """Prolong a lease; False if it was lost."""
        ...

    def put_later(self, entry: CacheEntry) -> None:
        """Keep an answer, off the path of the turn; dropped and counted, and its lease released, if too many wait."""
        ...

    def release_later(self, scope: CacheScope, question: str, lease: CacheLease, why: Unshared) -> None:
        """Give a lease back without an answer, off the path of the turn; if that fails, it runs out by itself."""
        ...
