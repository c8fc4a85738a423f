"""Digests: of a request, of instructions, of a whole history. Equal digests mean equal content."""

from hashlib import blake2b
from typing import Final

from services.conversation.ports import TurnRequestKey
from services.conversation.turn import Answer, TurnRequest

_SIZE_BYTES: Final = 16


def digest(*parts: str) -> str:
    """32 hex digits; every part is preceded by its length, so that ("ab", "c") and ("a", "bc") differ."""
    state = blake2b(digest_size=_SIZE_BYTES)
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "big"))
        state.update(encoded)
    return state.hexdigest()


def request_key(request: TurnRequest) -> TurnRequestKey:
    """What identifies the turn; streaming or not is no difference, so a broken stream may be retried unary."""
    options = request.options
    asked = [
        request.conversation_id,
        request.content,
        f"{options.tier} {options.model} {options.max_tokens} {options.bypass_cache}",
    ]
    if options.language:
        # A part of its own, so that requests without a language have the digest they always had.
        asked.append(options.language)
    return TurnRequestKey(request.owner, request.conversation_id, request.request_id, digest(*asked))


def turn_digest(question: str, answer: Answer) -> str:
    """What a turn adds to its conversation's context fingerprint; the ledger chains these."""
    return digest(question, answer.message.content)


def instructions(system_prompt: str) -> str:
    """The fingerprint of the instructions; empty for none."""
    return digest(system_prompt) if system_prompt else ""
