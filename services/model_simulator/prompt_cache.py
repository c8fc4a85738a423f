"""Anthropic's prompt caching, as far as a bill shows it.

A `cache_control` mark stores the prefix that ends at its block. A later call reads the longest stored prefix that
ends at one of its marks or up to 20 blocks before one. Reading a prefix renews its time to live.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from libs.core.clock import Clock
from services.model_simulator.call import Call, Segment
from services.model_simulator.usage import InputUsage

_LOOK_BACK: Final = 20
_FIVE_MINUTES: Final = 300
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The prompt up to the end of one block."""

    digest: bytes
    tokens: int
    ttl: int


@dataclass(frozen=True, slots=True)
class _Entry:
    expires: float
    ttl: int


class PromptCache:
    """Which prefixes of which organisation are warm. Holds digests only; the least recently used one goes first."""

    __slots__ = ("_capacity", "_clock", "_entries", "_minimum")

    def __init__(self, clock: Clock, minimum_tokens: int, capacity: int) -> None:
        """`minimum_tokens`: a shorter prefix is not cached. `capacity`: prefixes held at most."""
        self._clock = clock
        self._minimum = minimum_tokens
        self._capacity = capacity
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def __repr__(self) -> str:
        return f"PromptCache(entries={len(self._entries)}, capacity={self._capacity})"

    def account(self, organisation: str, call: Call, admit: Callable[[InputUsage], None]) -> InputUsage:
        """How the call's input divides; the prefixes it marks become warm unless `admit` raises on the division."""
        marks = [index for index, segment in enumerate(call.segments) if segment.ttl]
        if not marks:
            usage = InputUsage(call.input_tokens)
            admit(usage)
            return usage
        prefixes = _prefixes(f"{organisation}\n{call.prompt.model}", call.segments[: marks[-1] + 1])
        hit = self._longest_hit(prefixes, marks)
        stored = [prefixes[mark] for mark in marks if prefixes[mark].tokens >= self._minimum]
        usage = _divide(call.input_tokens, prefixes[hit].tokens if hit >= 0 else 0, stored)
        admit(usage)
        if hit >= 0:
            self._renew(prefixes[hit].digest)
        for prefix in stored:
            self._store(prefix)
        return usage

    def clear(self) -> None:
        """Make every prefix cold."""
        self._entries.clear()

    def _longest_hit(self, prefixes: list[_Prefix], marks: list[int]) -> int:
        now = self._clock.monotonic()
        tried = len(prefixes)
        for mark in reversed(marks):
            for index in range(min(mark, tried - 1), max(-1, mark - _LOOK_BACK - 1), -1):
                entry = self._entries.get(prefixes[index].digest)
                if entry is not None and entry.expires > now:
                    return index
                tried = index
        return -1

    def _renew(self, digest: bytes) -> None:
        entry = self._entries[digest]
        self._entries[digest] = _Entry(self._clock.monotonic() + entry.ttl, entry.ttl)
        self._entries.move_to_end(digest)

    def _store(self, prefix: _Prefix) -> None:
        self._entries[prefix.digest] = _Entry(self._clock.monotonic() + prefix.ttl, prefix.ttl)
        self._entries.move_to_end(prefix.digest)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)


def _divide(total: int, read: int, stored: list[_Prefix]) -> InputUsage:
    written = {_FIVE_MINUTES: 0, _HOUR: 0}
    end = read
    for prefix in stored:
        written[prefix.ttl] += max(0, prefix.tokens - end)
        end = max(end, prefix.tokens)
    return InputUsage(total - end, written[_FIVE_MINUTES], written[_HOUR], read)


def _prefixes(scope: str, segments: tuple[Segment, ...]) -> list[_Prefix]:
    digest = blake2b(scope.encode(), digest_size=16)
    tokens = 0
    prefixes: list[_Prefix] = []
    for segment in segments:
        text = segment.text.encode()
        digest.update(b"\n%d\n" % len(text))
        digest.update(text)
        tokens += segment.tokens
        prefixes.append(_Prefix(digest.digest(), tokens, segment.ttl))
    return prefixes
