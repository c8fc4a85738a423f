"""The events of a streamed message, byte for byte as Anthropic sends them.

message_start, content_block_start, ping, content_block_delta (one a token), content_block_stop, message_delta,
message_stop. An answer without a word has no content block.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from services.model_simulator import wire
from services.model_simulator.completion import Completion
from services.model_simulator.errors import ApiError
from services.model_simulator.usage import InputUsage

_BLOCK_START: Final = (
    b"event: content_block_start\n"
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
)
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_DELTA_HEAD: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":'
)
_DELTA_TAIL: Final = b"}}\n\n"
_BLOCK_STOP: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
_MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

MALFORMED: Final = _DELTA_HEAD + b'"unfinis\n\n'
"""A delta whose JSON breaks off."""


def opening(message_id: str, model: str, usage: InputUsage, completion: Completion) -> bytes:
    """All that comes before the first token."""
    start = wire.message_fields(message_id, model, usage, min(1, completion.tokens))
    head = _event(b"message_start", {"type": "message_start", "message": start})
    return head + _BLOCK_START + _PING if completion.tokens else head + _PING


def deltas(pieces: Sequence[str]) -> bytes:
    """One event for each token."""
    return b"".join([_DELTA_HEAD + orjson.dumps(piece) + _DELTA_TAIL for piece in pieces])


def closing(usage: InputUsage, completion: Completion) -> bytes:
    """All that comes after the last token."""
    delta: dict[str, object] = {
        "type": "message_delta",
        "delta": {"stop_reason": completion.stop_reason, "stop_sequence": completion.stop_sequence},
        "usage": {
            "input_tokens": usage.uncached,
            "cache_creation_input_tokens": usage.written,
            "cache_read_input_tokens": usage.read,
            "output_tokens": completion.tokens,
        },
    }
    tail = _event(b"message_delta", delta) + _MESSAGE_STOP
    return _BLOCK_STOP + tail if completion.tokens else tail


def error(failure: ApiError, request_id: str) -> bytes:
    """A failure in the middle of a stream; nothing comes after it."""
    return _event(b"error", wire.error_fields(failure, request_id))


def _event(name: bytes, data: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, orjson.dumps(data))
