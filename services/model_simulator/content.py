"""Reads content blocks: their text, their size, their cache_control."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from libs.core.tokens import estimate_message_tokens, estimate_tokens
from services.model_simulator.call import Segment
from services.model_simulator.errors import bad_request

_TTLS: Final[Mapping[str, int]] = {"5m": 300, "1h": 3600}
# What `estimate_message_tokens` adds for one message.
_TOKENS_PER_MESSAGE: Final = estimate_message_tokens("") - estimate_tokens("")
# About what Anthropic counts for a picture of a megapixel.
_IMAGE_TOKENS: Final = 1600
_TEXT_KEYS: Final[Mapping[str, str]] = {"text": "text", "thinking": "thinking", "redacted_thinking": "data"}
_OTHER_TYPES: Final = frozenset({"image", "document", "tool_use", "tool_result", "search_result"})


@dataclass(frozen=True, slots=True)
class Content:
    """One message's or system prompt's content."""

    text: str
    """What a reader sees of it: its text blocks, and the text inside tool results."""
    segments: tuple[Segment, ...]


def read_content(value: object, where: str, *, role: str = "", only_text: bool = False) -> Content:
    """The content under `where`, a string or a list of blocks.

    Args:
        value: what the request holds there.
        where: the field's path, for the error.
        role: whose message it is, if it is a message's: that costs tokens, and the prompt cache tells the same words
            of two sides apart.
        only_text: whether blocks other than text are refused.

    Raises:
        ApiError: 400, naming the part that is wrong.
    """
    if isinstance(value, str):
        if not role:
            return Content(value, (Segment(value, estimate_tokens(value)),))
        return Content(value, (Segment(f"{role}\n{value}", estimate_message_tokens(value)),))
    if not isinstance(value, list):
        raise bad_request(f"{where}: Input should be a string or a list of content blocks")
    texts: list[str] = []
    segments: list[Segment] = []
    for index, block in enumerate(value):
        text, segment = _read_block(block, f"{where}.{index}", only_text=only_text)
        if text:
            texts.append(text)
        segments.append(segment)
    if segments and role:
        first = segments[0]
        segments[0] = Segment(f"{role}\n{first.text}", first.tokens + _TOKENS_PER_MESSAGE, first.ttl)
    return Content("\n".join(texts), tuple(segments))


def cache_ttl(value: object, where: str) -> int:
    """Seconds that a `cache_control` asks for; 0 when there is none."""
    if value is None:
        return 0
    if not isinstance(value, dict) or value.get("type") != "ephemeral":
        raise bad_request(f"{where}.cache_control.type: Input should be 'ephemeral'")
    ttl = value.get("ttl", "5m")
    if not isinstance(ttl, str) or ttl not in _TTLS:
        raise bad_request(f"{where}.cache_control.ttl: Input should be '5m' or '1h'")
    return _TTLS[ttl]


def _read_block(block: object, where: str, *, only_text: bool) -> tuple[str, Segment]:
    if not isinstance(block, dict):
        raise bad_request(f"{where}: Input should be an object")
    kind = block.get("type")
    ttl = cache_ttl(block.get("cache_control"), where)
    if isinstance(kind, str) and kind in _TEXT_KEYS and (kind == "text" or not only_text):
        key = _TEXT_KEYS[kind]
        text = block.get(key)
        if not isinstance(text, str):
            raise bad_request(f"{where}.{kind}.{key}: Field required")
        return (text if kind == "text" else ""), Segment(text, estimate_tokens(text), ttl)
    if only_text or not isinstance(kind, str) or kind not in _OTHER_TYPES:
        raise bad_request(f"{where}: Input tag {kind!r} found using 'type' does not match any of the expected tags")
    return _read_other(kind, block, where, ttl)


def _read_other(kind: str, block: Mapping[str, object], where: str, ttl: int) -> tuple[str, Segment]:
    raw = orjson.dumps({key: value for key, value in block.items() if key != "cache_control"}).decode()
    if kind == "image":
        return "", Segment(raw, _IMAGE_TOKENS, ttl)
    inner = block.get("content")
    if kind == "tool_result" and inner is not None:
        return read_content(inner, f"{where}.content").text, Segment(raw, estimate_tokens(raw), ttl)
    return "", Segment(raw, estimate_tokens(raw), ttl)
